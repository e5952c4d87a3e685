"""Panels: picture, overlay and map side by side; methods against detections; many pictures on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, cast

from PIL import Image

from isotherm.draw.boxes import Boxes
from isotherm.draw.colour import Scale, scale_of, shared_scale
from isotherm.draw.describe import CAPTIONS, span_text, title_of
from isotherm.draw.overlay import check_size, map_tile, overlay_tile, single
from isotherm.draw.picture import Picture, fit, open_canvas, picture_tile
from isotherm.draw.sheet import Tile, add_footer, add_title, arrange, beside, colour_bar
from isotherm.draw.style import Style, as_style
from isotherm.draw.text import text_size
from isotherm.errors import OptionError, ShapeError
from isotherm.heatmap import Heatmap


def side_by_side(
    heatmap: Heatmap,
    picture: Picture,
    *,
    scale: Scale | None = None,
    style: Style | str | None = None,
    boxes: Boxes | None = None,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    footer: str | None = None,
    side: int = 640,
) -> Image.Image:
    """Picture | overlay | map with its colour bar.

    Args:
        side: the longer side of each of the three in pixels.
        heatmap, picture, scale, style, boxes, labels, title, footer: as
            for :func:`overlay`.

    Returns:
        A PIL picture, whatever came in.
    """
    single(heatmap)
    size = fit(_checked(heatmap, picture), (side, side))
    scale = scale_of(heatmap) if scale is None else scale
    style = as_style(style)
    font_size = text_size(*size, share=0.03, smallest=12)
    plain = picture_tile(picture, size)
    over = overlay_tile(heatmap, plain, scale=scale, style=style, boxes=boxes, labels=labels, font_size=font_size)
    alone = map_tile(heatmap, size, scale=scale, style=style, font_size=font_size)
    bar = colour_bar(
        size[0], scale, style=style, signed=heatmap.signed, caption=CAPTIONS[heatmap.kind], font_size=font_size
    )
    out = arrange(
        [[Tile(plain), Tile(over), Tile(alone), Tile(bar)]],
        column_names=["picture", "overlay", "map", ""],
        font_size=font_size,
    )
    return _framed(out, title, footer)


def comparison_grid(
    heatmaps: Sequence[Sequence[Heatmap | None] | Heatmap],
    pictures: Picture | Sequence[Picture],
    *,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    share: Literal["none", "rows", "columns", "all"] = "none",
    show_picture: bool = True,
    boxes: Sequence[Boxes | None] | None = None,
    labels: Sequence[Sequence[str] | None] | None = None,
    style: Style | str | None = None,
    title: str | None = None,
    footer: str | None = None,
    side: int = 320,
) -> Image.Image:
    """Overlays in rows and columns, such as detections x methods, with headings.

    Args:
        heatmaps: rows of single maps (None leaves a place empty); a heatmap that holds several is a row of them.
        pictures: one for all, or one a row.
        row_names: one a row; by default the label of the row's first map, where all rows have one.
        column_names: one a column of maps.
        share: which maps have a common scale. Different methods have different units, so by default each has
            its own, and the caption below says what its strongest colour stands for.
        show_picture: a first column with the picture alone.
        boxes, labels: one entry a row, each as for :func:`overlay`.
        side: the longer side of each tile in pixels.
        style, title, footer: as for :func:`overlay`.

    Raises:
        ShapeError: names, pictures or boxes that are not one a row or column.
    """
    rows = [list(row) for row in heatmaps]
    if not rows or not any(h is not None for row in rows for h in row):
        raise ShapeError("a comparison needs at least one heatmap; none was given")
    for h in (h for row in rows for h in row if h is not None):
        single(h)
    columns = max(len(row) for row in rows)
    per_row: list[Picture] = (
        list(pictures) if isinstance(pictures, (list, tuple)) else [cast(Picture, pictures)] * len(rows)
    )
    for what, values, expected in (
        ("pictures", per_row, len(rows)),
        ("row names", row_names, len(rows)),
        ("lists of boxes", boxes, len(rows)),
        ("lists of labels", labels, len(rows)),
        ("column names", column_names, columns),
    ):
        if values is not None and len(values) != expected:
            raise ShapeError(
                f"there are {len(values)} {what} for {len(rows)} rows and {columns} columns; expected {expected}"
            )
    if row_names is None:
        firsts = [next((title_of(h, "") for h in row if h is not None), "") for row in rows]
        row_names = firsts if all(firsts) else None
    scales = _scales(rows, share)
    style = as_style(style)
    tiles: list[list[Tile | None]] = []
    font_size = text_size(side, side, share=0.05, smallest=12)
    for r, row in enumerate(rows):
        size = fit(open_canvas(per_row[r]).size, (side, side))
        plain = picture_tile(per_row[r], size)
        marks: dict[str, Any] = {
            "boxes": boxes[r] if boxes else None,
            "labels": labels[r] if labels else None,
            "font_size": max(11, font_size - 2),
        }
        line: list[Tile | None] = []
        if show_picture:
            line.append(Tile(plain))
        for c, heatmap in enumerate(row):
            if heatmap is None:
                line.append(None)
                continue
            _checked(heatmap, per_row[r])
            image = overlay_tile(heatmap, plain, scale=scales[r, c], style=style, **marks)
            line.append(Tile(image, "" if share == "all" else span_text(heatmap, scales[r, c])))
        tiles.append(line)
    headings = None
    if column_names is not None:
        headings = [*(["picture"] if show_picture else []), *column_names]
    out = arrange(tiles, row_names=row_names, column_names=headings, font_size=font_size)
    if share == "all":
        first = next(h for row in rows for h in row if h is not None)
        bar = colour_bar(
            out.height,
            next(iter(scales.values())),
            style=style,
            signed=first.signed,
            caption=CAPTIONS[first.kind],
            font_size=font_size,
        )
        out = beside(out, bar)
    return _framed(out, title, footer)


def contact_sheet(
    pictures: Sequence[Picture],
    heatmaps: Sequence[Heatmap | None] | None = None,
    *,
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    scale: Scale | None = None,
    style: Style | str | None = None,
    title: str | None = None,
    footer: str | None = None,
    side: int = 240,
) -> Image.Image:
    """Many pictures on one sheet, each with its map over it where it has one.

    Args:
        pictures: at least one.
        heatmaps: one a picture; None for a picture without.
        captions: one a picture; by default the heatmaps' labels.
        columns: by default as many as make the sheet a little wider than high.
        scale: for all; by default each map has its own (share one with :func:`shared_scale`).
        side: the longer side of each tile in pixels.
        style, title, footer: as for :func:`overlay`.
    """
    if not len(pictures):
        raise ShapeError("a contact sheet needs at least one picture; none was given")
    maps = list(heatmaps) if heatmaps is not None else [None] * len(pictures)
    texts = list(captions) if captions is not None else [title_of(h, "") if h is not None else "" for h in maps]
    for what, values in (("heatmaps", maps), ("captions", texts)):
        if len(values) != len(pictures):
            raise ShapeError(f"there are {len(pictures)} pictures but {len(values)} {what}; expected one a picture")
    if columns is not None and columns < 1:
        raise OptionError(f"columns is {columns}; expected at least 1")
    tiles = []
    style = as_style(style)
    font_size = text_size(side, side, share=0.055, smallest=12)
    for picture, heatmap, text in zip(pictures, maps, texts, strict=True):
        if heatmap is None:
            tiles.append(Tile(picture_tile(picture, fit(open_canvas(picture).size, (side, side))), text))
            continue
        single(heatmap)
        tile = picture_tile(picture, fit(_checked(heatmap, picture), (side, side)))
        tiles.append(
            Tile(overlay_tile(heatmap, tile, scale=scale or scale_of(heatmap), style=style, font_size=font_size), text)
        )
    wide = columns or min(len(tiles), max(1, math.ceil(math.sqrt(len(tiles) * 1.4))))
    rows = [tiles[i : i + wide] for i in range(0, len(tiles), wide)]
    return _framed(arrange(rows, font_size=font_size), title, footer)


def _scales(rows: list[list[Heatmap | None]], share: str) -> dict[tuple[int, int], Scale]:
    groups = {"none": lambda r, c: (r, c), "rows": lambda r, c: r, "columns": lambda r, c: c, "all": lambda r, c: 0}
    if share not in groups:
        raise OptionError(f"share is {share!r}; expected one of {', '.join(groups)}")
    members: dict[object, list[tuple[int, int]]] = {}
    for r, row in enumerate(rows):
        for c, heatmap in enumerate(row):
            if heatmap is not None:
                members.setdefault(groups[share](r, c), []).append((r, c))
    return {
        at: s for places in members.values() for s in [shared_scale([rows[r][c] for r, c in places])] for at in places
    }


def _checked(heatmap: Heatmap, picture: Picture) -> tuple[int, int]:
    size = open_canvas(picture).size
    check_size(heatmap, size)
    return size


def _framed(out: Image.Image, title: str | None, footer: str | None) -> Image.Image:
    if title:
        out = add_title(out, title)
    return add_footer(out, footer) if footer else out
