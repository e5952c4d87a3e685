"""Tiles: one picture, overlay or map at a given size, and how several are arranged with headings and captions, on
paper.

The picture is made smaller first and the map is drawn at that size, so that lines and text stay sharp and
a hundred tiles of large photos cost little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from isotherm.draw.blend import blend_image
from isotherm.draw.boxes import as_boxes, draw_boxes
from isotherm.draw.ink import Ink
from isotherm.draw.marks import draw_marks
from isotherm.draw.overlay import draw_chip, is_silent, silence_of
from isotherm.draw.picture import Picture, open_canvas, to_pil
from isotherm.draw.scale import Scale
from isotherm.draw.style import Style, on_paper
from isotherm.draw.text import INK, MUTED, PAPER, Font, clean, font_for, measure
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


@dataclass(frozen=True)
class Tile:
    """One place of a grid: a picture, and a line below it."""

    image: Image.Image
    caption: str = ""


def shorten(text: str, font: Font, width: int) -> str:
    """The text, or as much of it as fits ``width`` pixels with an ellipsis in its middle (ends tell names apart)."""
    text = clean(text)
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
        if font.getlength(short) <= width:
            return short
    return ""


def arrange(
    rows: Sequence[Sequence[Tile | None]],
    *,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    font_size: int,
) -> Image.Image:
    """One picture of all tiles; columns are as wide as their widest tile, rows as high as their highest.

    Args:
        rows: tiles, or None for an empty place.
        row_names: written upwards, left of each row.
        column_names: above each column.
        font_size: of headings in pixels; captions are a little smaller.
    """
    columns = max(len(row) for row in rows)
    gap = max(6, round(font_size * 0.7))
    widths = [max((t.image.width for row in rows for t in row[c : c + 1] if t), default=0) for c in range(columns)]
    heights = [max((t.image.height for t in row if t), default=0) for row in rows]
    small = max(10, round(font_size * 0.85))
    line = round(measure("", font_for("", font_size))[1] * 1.3)
    small_line = round(measure("", font_for("", small))[1] * 1.5)
    captions = [small_line if any(t and t.caption for t in row) else 0 for row in rows]
    left = gap + (line + gap // 2 if row_names else 0)
    top = gap + (line + gap // 3 if column_names else 0)
    out = Image.new(
        "RGB", (left + sum(widths) + gap * columns, top + sum(heights) + sum(captions) + gap * len(rows)), PAPER
    )
    draw = ImageDraw.Draw(out)
    xs = [left + sum(widths[:c]) + gap * c for c in range(columns)]
    for c, name in enumerate(column_names or ()):
        font = font_for(name, font_size)
        draw.text(
            (xs[c] + widths[c] / 2, gap + line / 2), shorten(name, font, widths[c]), font=font, fill=INK, anchor="mm"
        )
    y = top
    for r, row in enumerate(rows):
        if row_names:
            _upwards(out, row_names[r], (gap, y), line, heights[r], font_size)
        for c, tile in enumerate(row):
            if tile is None:
                continue
            x = xs[c] + (widths[c] - tile.image.width) // 2
            place = y + (heights[r] - tile.image.height) // 2
            out.paste(tile.image, (x, place))
            if tile.caption:
                font = font_for(tile.caption, small)
                text = shorten(tile.caption, font, widths[c])
                draw.text(
                    (xs[c] + widths[c] / 2, y + heights[r] + small_line * 0.55),
                    text,
                    font=font,
                    fill=MUTED,
                    anchor="mm",
                )
        y += heights[r] + captions[r] + gap
    return out


def _upwards(out: Image.Image, text: str, corner: tuple[int, int], width: int, height: int, font_size: int) -> None:
    font = font_for(text, font_size)
    strip = Image.new("L", (max(1, height), width), 0)
    ImageDraw.Draw(strip).text((height / 2, width / 2), shorten(text, font, height), font=font, fill=255, anchor="mm")
    out.paste(INK, corner, strip.rotate(90, expand=True))
