"""Strokes on a picture: smooth lines of any width, opaque or changing colour only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from isotherm.draw.contours import Line

Colour = tuple[int, int, int]

WHOLE_FROM = 4.0
"""Width in pixels from which lines are drawn directly: their steps are too small beside them to be seen."""

FINER = 4
"""Thinner lines are drawn so many times larger, and made smaller again."""

TILE = 128
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
            draw.line((line - 0.5).ravel().tolist(), fill=colour, width=round(width))
        return
    for box, parts in _tiles(lines, width, image.size):
        image.paste(colour, box, _mask(parts, width, box, opacity))


def tint(image: Image.Image, lines: Sequence[Line], width: float, colour: Colour) -> None:
    """As :func:`stroke`, but the picture keeps its light and shade under the lines and only takes their colour."""
    _, blue, red = Image.new("RGB", (1, 1), colour).convert("YCbCr").tobytes()
    for box, parts in _tiles(lines, width, image.size):
        mask = _mask(parts, width, box)
        light = image.crop(box).convert("YCbCr").getchannel(0)
        toned = Image.merge("YCbCr", (light, Image.new("L", light.size, blue), Image.new("L", light.size, red)))
        image.paste(toned.convert("RGB"), box, mask)


def circle(x: float, y: float, radius: float) -> Line:
    """A closed line around a point."""
    angle = np.linspace(0, 2 * math.pi, 49)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], -1)


Box = tuple[int, int, int, int]


def _tiles(lines: Sequence[Line], width: float, size: tuple[int, int]) -> Iterator[tuple[Box, list[Line]]]:
    """The squares of the picture (or smaller ones at its edges) that lines pass through, each with the parts of lines near it."""
    reach = math.ceil(width / 2) + 1
    parts: dict[tuple[int, int], list[Line]] = {}
    for line in map(_dense, lines):
        low, high = ((line + shift) // TILE for shift in (-reach, reach))
        for i, j in {tuple(at) for corner in (low, high, np.stack([low[:, 0], high[:, 1]], -1), np.stack([high[:, 0], low[:, 1]], -1)) for at in corner.astype(int).tolist()}:
            if 0 <= i * TILE < size[0] and 0 <= j * TILE < size[1]:
                parts.setdefault((i, j), []).extend(_near(line, np.array([i, j]) * TILE, reach))
    for (i, j), near in sorted(parts.items(), key=lambda item: item[0]):
        yield (TILE * i, TILE * j, min(TILE * i + TILE, size[0]), min(TILE * j + TILE, size[1])), near


def _near(line: Line, corner: np.ndarray, reach: int) -> list[Line]:
    """The parts of a line in or near the square with this corner, each with the point before and after it."""
    inside = ((line >= corner - reach) & (line <= corner + TILE + reach)).all(1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    return [line[max(0, start - 1) : stop + 1] for start, stop in edges.reshape(-1, 2).tolist()]


def _dense(line: Line) -> Line:
    """The line with a point every quarter of a tile at least."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    if steps.max(initial=0.0) <= TILE / 4:
        return line
    place = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.unique(np.concatenate([place, np.arange(0, place[-1], TILE / 4)]))
    return np.stack([np.interp(at, place, line[:, 0]), np.interp(at, place, line[:, 1])], -1)


def _mask(lines: Sequence[Line], width: float, box: Box, opacity: float = 1.0) -> Image.Image:
    """How much of each pixel of the box a line covers, times its opacity, 0 to 255."""
    w, h = box[2] - box[0], box[3] - box[1]
    finer = FINER if width < WHOLE_FROM else 1
    mask = Image.new("L", (w * finer, h * finer), 0)
    draw = ImageDraw.Draw(mask)
    for line in lines:
        # without PIL's round joints, which take ten times as long: the points of a line are close together
        draw.line(((line - [box[0], box[1]]) * finer - 0.5).ravel().tolist(), fill=round(255 * opacity), width=max(1, round(width * finer)))
    return mask if finer == 1 else mask.resize((w, h), Image.Resampling.BOX)
