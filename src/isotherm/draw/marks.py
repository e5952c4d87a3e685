"""What a style draws over a coloured map: lines of equal value, the peak, and the edge of what the model saw."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from PIL import Image, ImageDraw

from isotherm.draw.colour import LEVELS
from isotherm.draw.contours import Line, Samples, dashes, outward
from isotherm.draw.ink import Ink
from isotherm.draw.scale import Scale
from isotherm.draw.strokes import Colour, circle, stroke, tint
from isotherm.draw.style import HALF, Style
from isotherm.draw.text import font_for, measure, text_size
from isotherm.heatmap import Heatmap

LIGHT: Colour = (255, 255, 255)
DARK: Colour = (17, 24, 39)
GREY: Colour = (128, 128, 128)
AGAINST: Colour = (45, 212, 160)
PEAK: Colour = (0, 70, 255)

LINE = 0.0045
"""Width of the strong line as a share of the geometric mean of the picture's sides."""

CLEAR = 1.5
"""Pixels between the half-maximum and the line that stands for it, so that nothing of the line is inside."""


def line_width(size: tuple[int, int]) -> float:
    """Width of the strong line in a picture of (h, w) pixels."""
    return max(1.5, LINE * math.sqrt(size[0] * size[1]))


def draw_marks(image: Image.Image, heatmap: Heatmap, scale: Scale, style: Style) -> None:
    """Draw a style's lines, peak and edge over a map that is coloured already, changed in place.

    Inside of the half-maximum nothing but colour changes: the strong line stands on the outer side of it, and the lines
    and the mark inside keep the light and shade of the picture.

    Args:
        image: RGB, of the whole source picture at any size.
    """
    if scale.is_empty:
        return
    size = (image.height, image.width)
    width = line_width(size)
    if style.unseen:
        _edge(image, heatmap, width)
    against = style.negative != "none" and heatmap.signed and scale.low < 0
    if style.lines or against:
        samples = Samples.of(heatmap.values, heatmap.frame, size, scale)
        if against:
            lines = samples.lines(-scale.value_at(HALF, signed=True), below=True)
            broken = [d for line in lines for d in dashes(line, 3.5 * width, 2.5 * width)]
            stroke(image, broken, 1.3 * width, DARK, opacity=0.55)
            stroke(image, broken, 0.7 * width, AGAINST)
        labels: list[tuple[float, float]] = []
        for share in style.lines:
            lines = samples.lines(scale.value_at(share, signed=heatmap.signed))
            if style.opacity:
                _line(image, lines, share, width)
            else:
                _coloured(image, lines, share, width, scale, style, signed=heatmap.signed)
            if style.labels and lines:
                labels.append(_label(image, max(lines, key=len), f"{100 * share:.0f} %", labels))
    if style.peak:
        _peak(image, heatmap, width, scale, coloured=style.opacity > 0)


def _line(image: Image.Image, lines: list[Line], share: float, width: float) -> None:
    """A line over colours: only the half-maximum's stands out, and none hides what is inside of it."""
    if share == HALF:
        # clear of it by what smooth lines are blurred by and their points are off by
        stroke(image, [outward(line, 1.25 * width + CLEAR) for line in lines], 0.7 * width, DARK, opacity=0.8)
        stroke(image, [outward(line, 0.5 * width + CLEAR) for line in lines], width, LIGHT)
    elif share < HALF:
        stroke(image, lines, 0.9 * width, DARK, opacity=0.35)
        stroke(image, lines, 0.4 * width, LIGHT, opacity=0.7)
    else:
        tint(image, lines, 0.6 * width, GREY)


def _coloured(image: Image.Image, lines: list[Line], share: float, width: float, scale: Scale, style: Style, *, signed: bool) -> None:
    """A line without colours below it, so it has that of its own value."""
    level = scale.value_at(share, signed=signed)
    at = round((level - scale.low) / (scale.high - scale.low) * (LEVELS - 1)) + 1
    r, g, b = Ink.of(style, scale, signed=signed).colour[at].mul(255).round().int().tolist()
    core = width if share == HALF else 0.6 * width
    stroke(image, lines, core + 0.7 * width, DARK, opacity=0.7)
    stroke(image, lines, core, (r, g, b) if style.colormap or share != HALF else LIGHT)


def peak_of(heatmap: Heatmap, scale: Scale) -> tuple[float, float] | None:
    """Where the largest cell's centre lies in source pixels; None where no single cell is the largest on the scale.

    Bilinear interpolation is nowhere larger than at the centre of a cell, so this is the peak of what is drawn as well.
    """
    values = heatmap.values.detach().double().clamp(max=scale.high).nan_to_num(nan=-math.inf, neginf=-math.inf)
    at = int(values.argmax())
    if int((values == values.flatten()[at]).sum()) != 1:
        return None
    row, column = divmod(at, values.shape[1])
    x, y = heatmap.frame.points_to_source(torch.tensor([[column + 0.5, row + 0.5]], dtype=torch.float64))[0].tolist()
    return x, y


def _peak(image: Image.Image, heatmap: Heatmap, width: float, scale: Scale, *, coloured: bool) -> None:
    at = peak_of(heatmap, scale)
    if at is None or float(heatmap.values.nan_to_num(nan=-math.inf).max()) < scale.value_at(0.1, signed=heatmap.signed):
        return
    h, w = heatmap.frame.source_size.tolist()
    radius = 3.2 * width
    x = min(max(at[0] * image.width / w, radius), image.width - radius)
    y = min(max(at[1] * image.height / h, radius), image.height - radius)
    ring, dot = circle(x, y, radius), circle(x, y, 0.5 * width)
    if coloured:
        tint(image, [ring, dot], 1.4 * width, PEAK)
        return
    stroke(image, [ring, dot], 1.5 * width, DARK)
    stroke(image, [ring, dot], 0.8 * width, LIGHT)


def _edge(image: Image.Image, heatmap: Heatmap, width: float) -> None:
    """The border of what the frame covers, where it ends inside of the picture."""
    frame = heatmap.frame
    x0, y0, x1, y1 = frame.limits
    corners = torch.tensor([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], dtype=torch.float64)
    h, w = frame.source_size.tolist()
    line = frame.points_to_source(corners).numpy() * [image.width / w, image.height / h]
    sides = [np.stack(ends) for ends in pairwise(line) if _is_inner(*ends, image.size)]
    broken = [dash for side in sides for dash in dashes(side, 2 * width, 2 * width)]
    stroke(image, broken, 0.8 * width, DARK, opacity=0.35)
    stroke(image, broken, 0.4 * width, LIGHT, opacity=0.6)


def _is_inner(a: np.ndarray, b: np.ndarray, size: tuple[int, int]) -> bool:
    """False for a side of the frame that lies on the border of the picture."""
    outer = [(a[i] <= 0.5 and b[i] <= 0.5) or (a[i] >= size[i] - 0.5 and b[i] >= size[i] - 0.5) for i in (0, 1)]
    return not any(outer) and not np.allclose(a, b)


def _label(image: Image.Image, line: Line, text: str, others: list[tuple[float, float]]) -> tuple[float, float]:
    """A share in small letters on its line, at the place that is farthest from the border and from other labels."""
    size = text_size(image.height, image.width, share=0.026)
    font = font_for(text, size)
    w, h = measure(text, font)
    room = np.minimum(line, np.array(image.size) - line).min(1)
    for other in others:
        room = np.minimum(room, np.hypot(*(line - other).T) / 2)
    x, y = line[int(room.argmax())]
    x, y = min(max(x, w / 2 + 2), image.width - w / 2 - 2), min(max(y, h / 2 + 2), image.height - h / 2 - 2)
    ImageDraw.Draw(image).text((x, y), text, font=font, fill=LIGHT, stroke_width=max(1, size // 7), stroke_fill=DARK, anchor="mm")
    return x, y
