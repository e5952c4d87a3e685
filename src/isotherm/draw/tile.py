"""Tiles: one picture, overlay or map at a given size, for everything that shows several.

The picture is made smaller first and the map is drawn at that size, so that lines and text stay sharp and
a hundred tiles of large photos cost little.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from isotherm.draw.blend import blend_image
from isotherm.draw.boxes import as_boxes, draw_boxes
from isotherm.draw.ink import Ink
from isotherm.draw.marks import draw_marks
from isotherm.draw.overlay import draw_chip, is_silent, silence_of
from isotherm.draw.picture import Picture, open_canvas, to_pil
from isotherm.draw.scale import Scale
from isotherm.draw.style import Style, on_paper
from isotherm.frame import Size
from isotherm.heatmap import Heatmap

UNSEEN = (236, 238, 241)
"""Behind a map without its picture: what the frame does not cover, or has no value."""


def fit(source: Sequence[int], limit: Size) -> Size:
    """The size (h, w) of a picture made to fit ``limit`` (h, w), its aspect ratio kept; it may grow."""
    factor = min(limit[0] / source[0], limit[1] / source[1])
    return max(1, round(source[0] * factor)), max(1, round(source[1] * factor))


def picture_tile(picture: Picture, size: Size) -> Image.Image:
    """The picture at ``size`` (h, w), mode RGB; transparency is laid on white."""
    canvas = open_canvas(picture)
    image = canvas.rgb if isinstance(canvas.rgb, Image.Image) else to_pil(canvas.rgb)
    if isinstance(canvas.alpha, Image.Image):
        image = Image.composite(image, Image.new("RGB", image.size, "white"), canvas.alpha)
    if image.size == (size[1], size[0]):
        return image.copy()
    return image.resize((size[1], size[0]), Image.Resampling.LANCZOS, reducing_gap=3.0)


def overlay_tile(
    heatmap: Heatmap,
    tile: Image.Image,
    *,
    scale: Scale,
    style: Style,
    boxes: Tensor | np.ndarray | Sequence[Sequence[float]] | None = None,
    labels: Sequence[str] | None = None,
    font_size: int | None = None,
) -> Image.Image:
    """The map and the boxes (in source pixels) over a tile of the whole source picture."""
    out = blend_image(tile, heatmap.values, heatmap.frame, scale=scale, ink=Ink.of(style, scale, signed=heatmap.signed))
    draw_marks(out, heatmap, scale, style)
    if boxes is not None:
        h, w = heatmap.frame.source_size.tolist()
        draw_boxes(out, as_boxes(boxes) * np.array([tile.width / w, tile.height / h] * 2), labels, font_size=font_size)
    if is_silent(heatmap):
        draw_chip(out, silence_of(heatmap), font_size=font_size)
    return out


def map_tile(heatmap: Heatmap, size: Size, *, scale: Scale, style: Style, font_size: int | None = None) -> Image.Image:
    """The map alone over its source at ``size`` (h, w), without its picture: full colours on paper, for and against."""
    ground = Image.new("RGB", (size[1], size[0]), UNSEEN)
    return overlay_tile(heatmap, ground, scale=scale, style=on_paper(style), font_size=font_size)
