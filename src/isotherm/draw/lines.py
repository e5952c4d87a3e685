"""Lines on a picture: of equal value, where a map crosses a level, and strokes along them: of any width, opaque,
translucent, or changing colour only.

Speed: all strokes are first drawn as numbers of paints into one picture of a byte a pixel, in which a later one hides
what is below it. That is laid on in squares, and only around what was drawn in each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt32
from PIL import Image, ImageDraw
from torch import Tensor

from isotherm.draw.colour import Scale
from isotherm.draw.picture import LUMA, SHADES
from isotherm.frame import Frame, Size
from isotherm.ops.resample import source_raster, to_frame

MOST_SAMPLES = 400
"""Along the longer side: between cells a map is bilinear, so that more samples would show nothing more."""

Line = Float[np.ndarray, "_ 2"]


@dataclass(frozen=True, eq=False)
class Samples:
    """A map sampled over its whole source picture, from which lines of any level are taken.

    Args:
        values: (h, w); beyond the map's edge its outermost values go on; NaN where a cell has none.
        known: (h, w), where the map has a value of its own.
        size: (h, w) of the drawn picture, in whose pixels the lines come.
    """

    values: Float[np.ndarray, "h w"]
    known: Bool[np.ndarray, "h w"]
    size: Size

    @classmethod
    def of(cls, values: Float[Tensor, "h w"], frame: Frame, size: Size, scale: Scale) -> Samples:
        """The samples of a map for a picture drawn at ``size`` (h, w); infinities count as the ends of the scale."""
        factor = min(1.0, MOST_SAMPLES / max(size))
        raster = source_raster(frame, (max(2, round(size[0] * factor)), max(2, round(size[1] * factor))))
        cells = values.detach().to("cpu", torch.float64).nan_to_num(nan=torch.nan, posinf=scale.high, neginf=scale.low)
        known = torch.isfinite(to_frame(cells, frame, raster, outside="nan"))
        return cls(to_frame(cells, frame, raster, outside="edge").numpy(), known.numpy(), size)

    def lines(self, level: float, *, below: bool = False) -> list[Line]:
        """The closed lines around everything that is at least ``level`` (``below``: at most), x and y in drawn pixels.

        Where the map ends, or has no value, the line runs along its edge. Lines turn so that what they enclose is on
        one and the same side, see :func:`outward`.
        """
        import contourpy  # slow to import, and only needed where lines are drawn

        if not self.known.any():
            return []
        field, at = (-self.values, -level) if below else (self.values, level)
        field, known = (np.pad(a, 1, mode=mode) for a, mode in ((field, "edge"), (self.known, "constant")))  # type: ignore[call-overload]
        # mirrored at the level outside of what is known, so that the line stands half-way between the samples: on the
        # edge
        padded = np.where(known, field, np.where(np.isnan(field), at - 1.0, np.minimum(field, 2 * at - field)))
        h, w = self.values.shape
        scale = np.array([self.size[1] / w, self.size[0] / h])
        lines: list[Line] = contourpy.contour_generator(z=padded, name="serial").lines(at)  # type: ignore[assignment]
        # a sample's place in the padded array is one to the right of its centre's, less half a sample to its edge
        return [np.clip((line - 0.5) * scale, 0, [self.size[1], self.size[0]]) for line in lines if len(line) > 2]


def outward(line: Line, distance: float) -> Line:
    """The closed line moved away from what it encloses, by so many pixels."""
    step = np.roll(line[:-1], -1, axis=0) - np.roll(line[:-1], 1, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])[:, None]
    # contourpy keeps higher values on the left of a line, seen with y upwards; pictures have y downwards
    normal = np.stack([step[:, 1], -step[:, 0]], -1) / np.where(length > 0, length, 1)
    moved = line[:-1] + distance * normal
    return np.concatenate([moved, moved[:1]])


def dashes(line: Line, on: float, off: float) -> list[Line]:
    """The parts of a line that are drawn when it is dashed: ``on`` pixels long, ``off`` pixels apart."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    keep = np.concatenate([[True], steps > 0])
    line, place = line[keep], place[keep]
    parts = []
    for start in np.arange(0.0, place[-1], on + off):
        stop = min(start + on, place[-1])
        inner = place[(place > start) & (place < stop)]
        at = np.concatenate([[start], inner, [stop]])
        parts.append(np.stack([np.interp(at, place, line[:, 0]), np.interp(at, place, line[:, 1])], -1))
    return parts


WHOLE_FROM = 4.0
"""Width in pixels from which lines are drawn directly: their steps are too small beside them to be seen."""

FINEST = 3
"""Thinner lines are drawn larger, up to so many times, and made smaller again."""

TILE = 256
"""Side of the squares in which strokes are laid on, in pixels of the finer picture: what is worked on together fits a
cache.
"""


@dataclass(frozen=True)
class Paint:
    """What a stroke does to the pixels below it.

    Args:
        colour: red, green and blue, 0 to 255.
        opacity: in [0, 1].
        tint: the picture keeps its light and shade and only takes the colour's hue and saturation.
    """

    colour: tuple[int, int, int]
    opacity: float = 1.0
    tint: bool = False

    def layer(self) -> UInt32[np.ndarray, "256"]:
        """What lies over a pixel of each luma: red, green and blue times opacity, and opacity, as the bytes of one
        number.
        """
        lighter = np.arange(SHADES)[:, None] - np.array(LUMA) @ self.colour
        pixels = np.full((SHADES, 4), round(255 * self.opacity), np.uint8)
        pixels[:, :3] = ((self.colour + lighter * self.tint).clip(0, 255) * self.opacity).round()
        return pixels.view(np.uint32)[:, 0]

    def over(self, below: Paint) -> Paint:
        """The paint that does at once what ``below`` and then this one do (Porter and Duff 1984, "over")."""
        rest = below.opacity * (1 - self.opacity)
        opacity = self.opacity + rest
        mixed = [round((a * self.opacity + b * rest) / opacity) for a, b in zip(self.colour, below.colour, strict=True)]
        return Paint((mixed[0], mixed[1], mixed[2]), opacity)


@dataclass(frozen=True, eq=False)
class Stroke:
    """Lines of one width and paint.

    Args:
        lines: (n, 2) x and y in pixels, edge-origin.
        width: in pixels.
    """

    lines: Sequence[Line]
    width: float
    paint: Paint


class Strokes:
    """Strokes, drawn but not laid on yet. A later stroke hides what it covers of the earlier ones.

    Args:
        strokes: the lowest first; at most 255 different paints.
        size: (w, h) of the picture.
    """

    def __init__(self, strokes: Sequence[Stroke], size: tuple[int, int]) -> None:
        strokes = [s for s in strokes if s.lines]
        # tints have the highest numbers, so that a look at the largest one says whether the picture's luma matters
        self.paints = sorted(dict.fromkeys(s.paint for s in strokes), key=lambda paint: paint.tint)
        self.finer = min(FINEST, math.ceil(WHOLE_FROM / min((s.width for s in strokes), default=WHOLE_FROM)))
        self.size = size
        self.numbers = Image.new("L", (size[0] * self.finer, size[1] * self.finer), 0)
        draw = ImageDraw.Draw(self.numbers)
        for s in strokes:
            number, width = self.paints.index(s.paint) + 1, max(1, round(s.width * self.finer))
            for line in s.lines:
                # without PIL's round joints, which take ten times as long: the points of a line are close together
                draw.line((line * self.finer - 0.5).ravel().tolist(), fill=number, width=width)

    def lay_on(self, image: Image.Image) -> None:
        """Lay the strokes on an RGB picture of their size, changed in place."""
        if not self.paints:
            return
        plain = sum(not paint.tint for paint in self.paints)
        table = np.stack([np.zeros(SHADES, np.uint32), *(paint.layer() for paint in self.paints)])
        (w, h), side = self.size, TILE // self.finer

        def lay(x0: int, y0: int) -> None:
            drawn = self._numbers_in((x0, y0, min(x0 + side, w), min(y0 + side, h))).getbbox()
            if drawn is None:
                return
            left, top, right, bottom = (
                at // self.finer for at in (drawn[0], drawn[1], drawn[2] + self.finer - 1, drawn[3] + self.finer - 1)
            )
            box = (x0 + left, y0 + top, x0 + right, y0 + bottom)
            numbers = np.asarray(self._numbers_in(box))
            at = numbers.astype(np.intp)
            if numbers.max() > plain:
                luma = np.asarray(image.crop(box).convert("L"))
                at *= SHADES
                at += luma if self.finer == 1 else luma.repeat(self.finer, 0).repeat(self.finer, 1)
                pixels = np.take(table.ravel(), at, mode="clip")
            else:
                pixels = np.take(table[:, 0], at, mode="clip")
            layer = Image.frombuffer("RGBa", at.shape[::-1], pixels, "raw", "RGBa", 0, 1)
            if self.finer > 1:
                layer = layer.reduce(self.finer)
            image.paste(layer, box, layer)

        for y in range(0, h, side):
            for x in range(0, w, side):
                lay(x, y)

    def _numbers_in(self, box: tuple[int, int, int, int]) -> Image.Image:
        x0, y0, x1, y1 = box
        return self.numbers.crop((x0 * self.finer, y0 * self.finer, x1 * self.finer, y1 * self.finer))


def circle(x: float, y: float, radius: float) -> Line:
    """A closed line around a point."""
    angle = np.linspace(0, 2 * math.pi, 49)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], -1)
