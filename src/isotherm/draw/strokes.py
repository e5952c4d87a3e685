"""Strokes on a picture: smooth lines of any width, opaque or changing colour only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from isotherm.draw.contours import Line

Colour = tuple[int, int, int]

WHOLE_FROM = 4.0
"""Width in pixels from which lines are drawn directly: their steps are too small beside them to be seen."""

FINER = 4
"""Thinner lines are drawn so many times larger, and made smaller again."""

TILE = 256
"""Strokes that only change colour are worked out in squares of this side, where a line passes."""


def stroke(image: Image.Image, lines: Sequence[Line], width: float, colour: Colour, *, opacity: float = 1.0) -> None:
    """Draw lines into an RGB picture, changed in place.

    Args:
        lines: (n, 2) x and y in pixels, edge-origin. width: in pixels. opacity: in [0, 1].
    """
    if not lines:
        return
    if width >= WHOLE_FROM and opacity == 1:
        draw = ImageDraw.Draw(image)
        for line in lines:
            draw.line([(x - 0.5, y - 0.5) for x, y in line.tolist()], fill=colour, width=round(width), joint="curve")
        return
    for box in _tiles(lines, width, image.size):
        mask = _mask(lines, width, box)
        image.paste(colour, box, mask.point(lambda v: round(v * opacity)) if opacity < 1 else mask)


def tint(image: Image.Image, lines: Sequence[Line], width: float, colour: Colour) -> None:
    """As :func:`stroke`, but the picture keeps its light and shade under the lines and only takes their colour."""
    _, blue, red = Image.new("RGB", (1, 1), colour).convert("YCbCr").tobytes()
    for box in _tiles(lines, width, image.size):
        mask = _mask(lines, width, box)
        light = image.crop(box).convert("YCbCr").getchannel(0)
        toned = Image.merge("YCbCr", (light, Image.new("L", light.size, blue), Image.new("L", light.size, red)))
        image.paste(toned.convert("RGB"), box, mask)


def circle(x: float, y: float, radius: float) -> Line:
    """A closed line around a point."""
    angle = np.linspace(0, 2 * math.pi, 49)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], -1)


Box = tuple[int, int, int, int]


def _tiles(lines: Sequence[Line], width: float, size: tuple[int, int]) -> list[Box]:
    """The squares of the picture (or smaller ones at its edges) that a line passes through."""
    reach = math.ceil(width / 2) + 1
    touched: set[tuple[int, int]] = set()
    for line in lines:
        # samples of a line are close together beside a tile; each with its reach to all sides
        for dx in (-reach, reach):
            for dy in (-reach, reach):
                touched.update(map(tuple, ((_dense(line) + np.array([dx, dy])) // TILE).astype(int).tolist()))
    boxes = [(TILE * i, TILE * j, min(TILE * i + TILE, size[0]), min(TILE * j + TILE, size[1])) for i, j in sorted(touched)]
    return [b for b in boxes if b[0] >= 0 and b[1] >= 0 and b[2] > b[0] and b[3] > b[1]]


def _dense(line: Line) -> Line:
    """The line with a point every quarter of a tile at least."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.concatenate([place, np.arange(0, place[-1], TILE / 4)])
    return np.stack([np.interp(at, place, line[:, 0]), np.interp(at, place, line[:, 1])], -1)


def _mask(lines: Sequence[Line], width: float, box: Box) -> Image.Image:
    """How much of each pixel of the box a line covers, 0 to 255."""
    w, h = box[2] - box[0], box[3] - box[1]
    finer = FINER if width < WHOLE_FROM else 1
    mask = Image.new("L", (w * finer, h * finer), 0)
    draw = ImageDraw.Draw(mask)
    reach = width + TILE
    for line in lines:
        if not ((line >= [box[0] - reach, box[1] - reach]) & (line <= [box[2] + reach, box[3] + reach])).all(1).any():
            continue
        points = ((line - [box[0], box[1]]) * finer - 0.5).tolist()
        draw.line([(x, y) for x, y in points], fill=255, width=max(1, round(width * finer)), joint="curve")
    return mask if finer == 1 else mask.resize((w, h), Image.Resampling.BOX)
