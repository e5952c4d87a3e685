"""Strokes on a picture: smooth lines of any width, opaque, translucent, or changing colour only.

Speed: all strokes are first drawn as numbers of paints into one picture of a byte a pixel, in which a later one hides
what is below it. That is laid on in squares, and only around what was drawn in each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt32
from PIL import Image, ImageDraw

from isotherm.draw.bands import in_threads
from isotherm.draw.contours import Line
from isotherm.draw.luma import LUMA, SHADES

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

        in_threads(lay, [(x, y) for y in range(0, h, side) for x in range(0, w, side)])

    def _numbers_in(self, box: tuple[int, int, int, int]) -> Image.Image:
        x0, y0, x1, y1 = box
        return self.numbers.crop((x0 * self.finer, y0 * self.finer, x1 * self.finer, y1 * self.finer))


def circle(x: float, y: float, radius: float) -> Line:
    """A closed line around a point."""
    angle = np.linspace(0, 2 * math.pi, 49)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], -1)
