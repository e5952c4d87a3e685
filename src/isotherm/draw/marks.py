"""What a style draws over a coloured map: lines of equal value, the peak, and the edge of what the model saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from PIL import Image, ImageDraw

from isotherm.draw.colour import Ink, Scale
from isotherm.draw.colour_maps import LEVELS
from isotherm.draw.lines import Line, Paint, Samples, Stroke, Strokes, circle, dashes, outward
from isotherm.draw.style import CLEAR, HALF, LINE, Style
from isotherm.draw.text import font_for, measure, text_size
from isotherm.frame import Size
from isotherm.heatmap import Heatmap

LIGHT = Paint((255, 255, 255))
DARK = Paint((17, 24, 39))
GREY = Paint((128, 128, 128), tint=True)
AGAINST = Paint((45, 212, 160))
PEAK = Paint((0, 70, 255), tint=True)


def line_width(size: tuple[int, int]) -> float:
    """Width of the strong line in a picture of (h, w) pixels."""
    return max(1.5, LINE * math.sqrt(size[0] * size[1]))


@dataclass(frozen=True, eq=False)
class Marks:
    """What a style draws over a coloured map, for a picture of one size.

    Inside of the half-maximum nothing but colour changes: the strong line stands on the outer side of it, and the lines
    and the mark inside keep the light and shade of the picture.

    Args:
        strokes: lines, peak and edge.
        labels: words, and the line that each belongs to.
    """

    strokes: Strokes
    labels: Sequence[tuple[str, Line]]

    @classmethod
    def of(cls, heatmap: Heatmap, scale: Scale, style: Style, size: Size) -> Marks:
        """The marks for a picture of (h, w) pixels, which is the whole source picture at any size."""
        strokes: list[Stroke] = []
        labels: list[tuple[str, Line]] = []
        width = line_width(size)
        if not scale.is_empty:
            if style.unseen:
                strokes += _edge(heatmap, size, width)
            against = style.negative != "none" and heatmap.signed and scale.low < 0
            if style.lines or against:
                samples = Samples.of(heatmap.values, heatmap.frame, size, scale)
                if against:
                    lines = samples.lines(-scale.value_at(HALF, signed=True), below=True)
                    strokes += _cased(
                        [d for line in lines for d in dashes(line, 3.5 * width, 2.5 * width)],
                        (1.3 * width, _faint(DARK, 0.55)),
                        (0.7 * width, AGAINST),
                    )
                for share in style.lines:
                    lines = samples.lines(scale.value_at(share, signed=heatmap.signed))
                    if style.opacity:
                        strokes += _line(lines, share, width)
                    else:
                        strokes += _coloured(lines, share, width, scale, style, signed=heatmap.signed)
                    if style.labels and lines:
                        labels.append((f"{100 * share:.0f} %", max(lines, key=len)))
            if style.peak:
                strokes += _peak(heatmap, size, width, scale, coloured=style.opacity > 0)
        return cls(Strokes(strokes, (size[1], size[0])), labels)

    def lay_on(self, image: Image.Image) -> None:
        """Draw them over an RGB picture of their size, changed in place."""
        self.strokes.lay_on(image)
        taken: list[tuple[float, float]] = []
        for text, line in self.labels:
            taken.append(_label(image, line, text, taken))


def draw_marks(image: Image.Image, heatmap: Heatmap, scale: Scale, style: Style) -> None:
    """Draw a style's marks over a map that is coloured already, changed in place.

    Args:
        image: RGB, of the whole source picture at any size.
    """
    Marks.of(heatmap, scale, style, (image.height, image.width)).lay_on(image)


def _faint(paint: Paint, opacity: float) -> Paint:
    return replace(paint, opacity=opacity)


def _cased(lines: list[Line], casing: tuple[float, Paint], core: tuple[float, Paint]) -> list[Stroke]:
    """Lines with a darker border, that they show on any ground."""
    return [Stroke(lines, *casing), Stroke(lines, core[0], core[1].over(casing[1]))]


def _line(lines: list[Line], share: float, width: float) -> list[Stroke]:
    """A line over colours: only the half-maximum's stands out, and none hides what is inside of it."""
    if share == HALF:
        # clear of it by what smooth lines are blurred by and their points are off by
        return [
            Stroke([outward(line, 1.25 * width + CLEAR) for line in lines], 0.7 * width, _faint(DARK, 0.8)),
            Stroke([outward(line, 0.5 * width + CLEAR) for line in lines], width, LIGHT),
        ]
    if share < HALF:
        # outside of what it encloses as well: where the map ends, both regions end on one and the same line
        lines = [outward(line, 0.45 * width + CLEAR) for line in lines]
        return _cased(lines, (0.9 * width, _faint(DARK, 0.35)), (0.4 * width, _faint(LIGHT, 0.7)))
    return [Stroke(lines, 0.6 * width, GREY)]


def _coloured(
    lines: list[Line], share: float, width: float, scale: Scale, style: Style, *, signed: bool
) -> list[Stroke]:
    """A line without colours below it, so it has that of its own value."""
    level = scale.value_at(share, signed=signed)
    at = round((level - scale.low) / (scale.high - scale.low) * (LEVELS - 1)) + 1
    r, g, b = Ink.of(style, scale, signed=signed).colour[at].mul(255).round().int().tolist()
    core = width if share == HALF else 0.6 * width
    return _cased(
        lines,
        (core + 0.7 * width, _faint(DARK, 0.7)),
        (core, Paint((r, g, b)) if style.colormap or share != HALF else LIGHT),
    )


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


def _peak(heatmap: Heatmap, size: Size, width: float, scale: Scale, *, coloured: bool) -> list[Stroke]:
    at = peak_of(heatmap, scale)
    if at is None or float(heatmap.values.nan_to_num(nan=-math.inf).max()) < scale.value_at(0.1, signed=heatmap.signed):
        return []
    h, w = heatmap.frame.source_size.tolist()
    radius = 3.2 * width
    x = min(max(at[0] * size[1] / w, radius), size[1] - radius)
    y = min(max(at[1] * size[0] / h, radius), size[0] - radius)
    rings = [circle(x, y, radius), circle(x, y, 0.5 * width)]
    return [Stroke(rings, 1.4 * width, PEAK)] if coloured else _cased(rings, (1.5 * width, DARK), (0.8 * width, LIGHT))


def _edge(heatmap: Heatmap, size: Size, width: float) -> list[Stroke]:
    """The border of what the frame covers, where it ends inside of the picture."""
    frame = heatmap.frame
    x0, y0, x1, y1 = frame.limits
    corners = torch.tensor([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], dtype=torch.float64)
    h, w = frame.source_size.tolist()
    line = frame.points_to_source(corners).numpy() * [size[1] / w, size[0] / h]
    sides = [np.stack(ends) for ends in pairwise(line) if _is_inner(*ends, size)]
    broken = [dash for side in sides for dash in dashes(side, 2 * width, 2 * width)]
    return _cased(broken, (0.8 * width, _faint(DARK, 0.35)), (0.4 * width, _faint(LIGHT, 0.6)))


def _is_inner(a: np.ndarray, b: np.ndarray, size: Size) -> bool:
    """False for a side of the frame that lies on the border of the picture."""
    h, w = size
    outer = [
        (a[i] <= 0.5 and b[i] <= 0.5) or (a[i] >= side - 0.5 and b[i] >= side - 0.5) for i, side in enumerate((w, h))
    ]
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
    ImageDraw.Draw(image).text(
        (x, y), text, font=font, fill=LIGHT.colour, stroke_width=max(1, size // 7), stroke_fill=DARK.colour, anchor="mm"
    )
    return x, y
