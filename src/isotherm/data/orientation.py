"""Turned pictures and what was annotated in them: in the pixels as they are stored, or as they are seen.

A camera that was held upright often stores the picture as its sensor lies and notes in EXIF, or in a video's container,
how to turn it. Pictures are read upright here. Files of annotations do not say which of the two they count in:

- **upright**: what people see. Browsers (since 2020), labelme, CVAT, RectLabel, Label Studio and FiftyOne show pictures
  so and write what they show; OpenCV, detectron2, supervision and ultralytics load them so. This is the default.
- **stored**: tools that do not look at EXIF, such as VoTT, older browsers (and what was annotated in them, COCO itself
  among it), and whoever reads with Pillow, scikit-image or kwimage alone.

The sizes that a file gives do not decide it: Label Studio writes upright places beside stored sizes
(HumanSignal/label-studio#6608). Other sources: cocodataset/cocoapi#391, facebookresearch/detectron2#5366,
roboflow/supervision#2577, microsoft/VoTT#840.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from isotherm.ops.names import known_word
from isotherm.size import Size

if TYPE_CHECKING:  # pictures are read where no torch is loaded
    from jaxtyping import Float
    from torch import Tensor

Orientation = Literal["upright", "stored"]
"""In which pixels the places in turned pictures are."""
_ON_THEIR_SIDE = (5, 6, 7, 8)
# rows of (x, y, w, h) of the stored picture: x' and y' in the upright one, for edge-origin places
_PLACES = {
    1: ((1, 0, 0, 0), (0, 1, 0, 0)),
    2: ((-1, 0, 1, 0), (0, 1, 0, 0)),
    3: ((-1, 0, 1, 0), (0, -1, 0, 1)),
    4: ((1, 0, 0, 0), (0, -1, 0, 1)),
    5: ((0, 1, 0, 0), (1, 0, 0, 0)),
    6: ((0, -1, 0, 1), (1, 0, 0, 0)),
    7: ((0, -1, 0, 1), (-1, 0, 1, 0)),
    8: ((0, 1, 0, 0), (-1, 0, 1, 0)),
}


@dataclass(frozen=True)
class Turn:
    """The way from a picture's stored pixels to its upright ones.

    Args:
        stored: (h, w) as stored.
        orientation: 1 to 8, as EXIF has it (CIPA DC-008, tag 0x0112); others leave the picture as it is.

    Example:
        >>> turn = Turn((30, 40), 6)  # the left edge as stored is the top
        >>> turn.size, turn.points(torch.tensor([[40.0, 0.0]])).tolist()
        ((40, 30), [[30.0, 40.0]])
    """

    stored: Size
    orientation: int = 1

    @property
    def turned(self) -> bool:
        """Whether stored and upright pixels differ."""
        return self.orientation in range(2, 9)

    @property
    def size(self) -> Size:
        """(h, w) of the upright picture."""
        return (self.stored[1], self.stored[0]) if self.orientation in _ON_THEIR_SIDE else self.stored

    def points(self, xy: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        """Places (x, y), edge-origin, of the stored picture in the upright one."""
        if not self.turned:
            return xy
        rows = xy.new_tensor(_PLACES[self.orientation])
        moved = rows[:, 2:] @ rows.new_tensor([self.stored[1], self.stored[0]])
        return xy @ rows[:, :2].T + moved

    def box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """A box (x0, y0, x1, y1)."""
        h, w = self.stored
        corners = [
            [ax * x + ay * y + aw * w + ah * h for ax, ay, aw, ah in _PLACES[self.orientation if self.turned else 1]]
            for x, y in (box[:2], box[2:])
        ]
        (x0, x1), (y0, y1) = (sorted(side) for side in zip(*corners, strict=True))
        return x0, y0, x1, y1

    def angles(self, rad: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Directions, from the x axis towards the y axis, from -pi to pi."""
        if not self.turned:
            return rad
        (xx, xy, *_), (yx, yy, *_) = _PLACES[self.orientation]
        x, y = rad.cos(), rad.sin()
        return (yx * x + yy * y).atan2(xx * x + xy * y)


class Turns:
    """In which pixels annotations are, and the note on the turned pictures among those that they are about.

    Args:
        orientation: as somebody says; None: upright, which nobody said.

    Raises:
        OptionError: another word.
    """

    def __init__(self, orientation: Orientation | None = None) -> None:
        if orientation is not None:
            known_word(orientation, get_args(Orientation), "orientation")
        self.orientation = orientation
        self._turned: dict[str, None] = {}

    def of(self, name: str, turn: Turn) -> Turn:
        """The way from the pixels of the annotations of a picture to its upright pixels.

        Args:
            name: of the picture, for the note.
            turn: from its stored pixels.
        """
        if turn.turned:
            self._turned[name] = None
        return turn if self.orientation == "stored" else Turn(turn.size)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know: nothing where no picture is turned."""
        if not self._turned:
            return ()
        count, first = len(self._turned), next(iter(self._turned))
        which = f"{first or 'the video'} is" if count == 1 else f"{count} pictures, such as {first}, are"
        return (f"{which} turned upright, as the camera noted; {self.reading}",)

    @property
    def reading(self) -> str:
        """How places in turned pictures are read, in words."""
        if self.orientation == "stored":
            return "places are read in the pixels as stored, as was said, and turned with the picture"
        if self.orientation == "upright":
            return "places are read in the upright picture's pixels, as was said"
        return (
            "places are read in the upright picture's pixels, which most tools write; say orientation 'stored' "
            "where they are in the pixels as stored, or 'upright' where that is known"
        )


def quarter_turns(stored: Size, rotation_deg: float) -> Turn:
    """The turn that a video's container notes.

    Args:
        stored: (h, w) as coded.
        rotation_deg: counter-clockwise, as FFmpeg gives the display matrix's angle; the nearest multiple of 90.

    Example:
        >>> quarter_turns((30, 40), -90.0)
        Turn(stored=(30, 40), orientation=6)
    """
    return Turn(stored, (1, 8, 3, 6)[round((rotation_deg if math.isfinite(rotation_deg) else 0.0) / 90) % 4])
