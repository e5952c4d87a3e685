"""Heads of people in pictures: what finds them, and how any detector becomes such a thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from isotherm.cam.view import Detections, View, giver_of
from isotherm.errors import AdapterError, ShapeError
from isotherm.ops.names import near_names

Picture = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True, eq=False)
class HeadBoxes:
    """The heads in one picture.

    Args:
        boxes: (n, 4) x0, y0, x1, y1 in its pixels, edge-origin.
        scores: (n,) how sure each is, 0 to 1.

    Raises:
        ShapeError: not one score for each box, or a box without an inside.
    """

    boxes: Float[Tensor, "_ 4"]
    scores: Float[Tensor, " _"]

    def __post_init__(self) -> None:
        if tuple(self.boxes.shape) != (len(self.scores), 4):
            raise ShapeError(
                f"boxes have shape {tuple(self.boxes.shape)} for {len(self.scores)} scores; expected (n, 4) and (n,)"
            )
        bad = ~((self.boxes[:, 0] < self.boxes[:, 2]) & (self.boxes[:, 1] < self.boxes[:, 3]))
        if bool(bad.any()):
            raise ShapeError(f"{self.boxes[bad][0].tolist()} is no box; x0 must be less than x1 and y0 less than y1")

    def __len__(self) -> int:
        return len(self.boxes)

    def __bool__(self) -> bool:
        return True  # no heads are an answer as well

    @classmethod
    def none(cls) -> HeadBoxes:
        """No heads."""
        return cls(torch.zeros(0, 4), torch.zeros(0))


@runtime_checkable
class HeadDetector(Protocol):
    """What finds heads: a detector of heads, boxes from a file, or anything of yours."""

    def heads(self, picture: Picture, index: int) -> HeadBoxes:
        """The heads in a picture.

        Args:
            picture: (H, W, 3) 8-bit RGB.
            index: its number in the video.
        """
        ...


@dataclass(frozen=True, eq=False)
class DetectedHeads:
    """Any detector that isotherm reads as a detector of heads.

    Args:
        view: of a detector, as :func:`isotherm.open_model` gives it.
        names: the classes that are heads; by default those of the model that are called head or face.

    Raises:
        AdapterError: the detector has none of these classes.
    """

    view: View
    names: Sequence[str] = ("head", "face")

    def __post_init__(self) -> None:
        known = [str(name).lower() for name in self.view.names]
        if not {name.lower() for name in self.names} & set(known):
            advice = (
                near_names(list(self.names), list(self.view.names))
                or f"; it has {', '.join(map(str, self.view.names[:8]))}"
            )
            raise AdapterError(
                f"{self.view.name} has no class {' or '.join(self.names)}{advice}. A detector of people finds whole bodies, whose boxes are "
                "no heads: give one that was trained on heads or faces, or boxes in a file"
            )

    @torch.no_grad()
    def heads(self, picture: Picture, index: int) -> HeadBoxes:
        """The findings that are heads, in pixels of the picture.

        Args:
            picture: (H, W, 3) 8-bit RGB.
            index: its number in the video; a detector looks at the picture alone.

        Raises:
            AdapterError: the model is no detector.
        """
        inputs = self.view.prepare([picture])
        prediction: Any = self.view.find(self.view.run(inputs), inputs)
        if not isinstance(prediction, Detections):
            raise AdapterError(f"{self.view.name} is {giver_of(prediction)}; heads are found by a detector")
        wanted = {name.lower() for name in self.names}
        rows = [i for i, c in enumerate(prediction.classes.tolist()) if str(prediction.names[c]).lower() in wanted]
        boxes = inputs.frame[0].boxes_to_source(prediction.boxes[rows].detach().cpu().double()).float()
        h, w = picture.shape[:2]
        limits = torch.tensor([w, h, w, h], dtype=boxes.dtype)
        boxes = torch.minimum(boxes.clamp(min=0), limits)
        real = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
        return HeadBoxes(boxes[real], prediction.confidence[rows].detach().cpu().float()[real])
