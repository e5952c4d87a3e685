"""Counts in one picture: the dots and crops on the whole, and every view with its map, all on one scale of colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from isotherm.draw import Scale, Style, draw_boxes, shared_scale
from isotherm.draw.boxes import PALETTE, RIM, Colour
from isotherm.draw.overlay import overlay_tile
from isotherm.draw.picture import Picture, fit, picture_tile
from isotherm.draw.sheet import Tile, add_title, arrange, beside, colour_bar
from isotherm.draw.text import text_size
from isotherm.heatmap import Heatmap
from isotherm.points import Points
from isotherm.systems.counting_look import Look

DOT: Colour = (255, 255, 255)


def counting_figure(
    picture: Picture,
    looks: Sequence[Look],
    counts: Sequence[float | None],
    dots: Points,
    *,
    title: str,
    additive: bool,
    side: int = 420,
    opacity: float = 0.6,
) -> Image.Image:
    """The whole picture with the dots that count and the crops, then every view with its map and its dots.

    Additive values are amounts, so they are compared per area: each map is drawn as what it has in the area of the
    largest cell. What is not additive is a degree of its own view, and every map then has its own scale.

    Args:
        counts: of each look.
        dots: those that count, their channel the number of the look; dots that a view has and that do not count are
            rings.
        side: the longer side of each panel in pixels.
    """
    maps = [one.own_map for one in looks]
    if additive:
        areas = [0.0 if one.heatmap is None else float(one.heatmap.frame.cell_size.prod()) for one in looks]
        maps = [
            None if m is None else m.with_(values=m.values * (max(areas) / area))
            for m, area in zip(maps, areas, strict=True)
        ]
    there = [m for m in maps if m is not None]
    scale = shared_scale(there) if there and additive else None
    font_size = text_size(side, side, share=0.05, smallest=12)
    first = _whole(picture, looks, dots, side, font_size)
    tiles: list[Tile] = [Tile(first, f"{len(dots.xy)} dots")]
    for i, (one, heatmap, counted) in enumerate(zip(looks, maps, counts, strict=True)):
        tiles.append(
            Tile(_view(one, heatmap, counted, dots, i, scale, side, opacity, font_size), _caption(one, counted))
        )
    out = arrange(_rows(looks, tiles), font_size=font_size)
    if scale is not None:
        bar = colour_bar(
            min(out.height, 2 * side),
            scale,
            style=Style(),
            signed=there[0].signed,
            caption="relevance for the expected number",
            font_size=font_size,
        )
        out = beside(out, bar)
    return add_title(out, title)


def _rows(looks: Sequence[Look], tiles: list[Tile]) -> list[list[Tile | None]]:
    """The picture and the look at the whole below each other, and beside them the crops of a grid as they lie in the
    picture.
    """
    lead = [tiles[0], *(tile for one, tile in zip(looks, tiles[1:], strict=True) if one.view.role == "whole")]
    lines: dict[int, list[Tile | None]] = {}
    for one, tile in zip(looks, tiles[1:], strict=True):
        if one.view.role == "part":
            lines.setdefault(one.view.box[1], []).append(tile)
    if len(lines) > 1 and len({len(line) for line in lines.values()}) == 1 and len(next(iter(lines.values()))) > 1:
        return [[lead[k] if k < len(lead) else None, *line] for k, line in enumerate(lines.values())]
    columns = len(tiles) if len(tiles) <= 3 else max(2, round(np.sqrt(len(tiles) * 1.4)))
    return [list(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]


def _whole(picture: Picture, looks: Sequence[Look], dots: Points, side: int, font_size: int) -> Image.Image:
    h, w = (int(s) for s in np.asarray(picture).shape[:2])
    out = picture_tile(picture, fit((h, w), (side, side)))
    zoom = np.array([out.width / w, out.height / h])
    crops = [one.view.box for one in looks if one.view.role != "whole"]
    if crops:
        draw_boxes(out, np.array(crops, np.float64) * np.tile(zoom, 2), font_size=font_size)
    channel = [] if dots.channel is None else dots.channel.tolist()
    number = {i: k for k, i in enumerate(i for i, one in enumerate(looks) if one.view.role != "whole")}
    for (x, y), of in zip((dots.xy.double().numpy() * zoom).tolist(), channel, strict=True):
        _dot(out, x, y, PALETTE[number[of] % len(PALETTE)] if of in number else DOT, filled=True)
    return out


def _view(
    one: Look,
    heatmap: Heatmap | None,
    counted: float | None,
    dots: Points,
    number: int,
    scale: Scale | None,
    side: int,
    opacity: float,
    font_size: int,
) -> Image.Image:
    h, w = (int(s) for s in one.picture.shape[:2])
    out = picture_tile(one.picture, fit((h, w), (side, side)))
    if heatmap is not None:
        # dots mark the peaks here
        out = overlay_tile(
            heatmap,
            out,
            scale=scale or shared_scale([heatmap]),
            style=Style(opacity=opacity, peak=False),
            font_size=font_size,
        )
    zoom = np.array([out.width / w, out.height / h])
    most = 0 if counted is None else int(np.floor(counted + 0.5))
    mine = one.peaks.xy[:most]
    kept = set() if dots.channel is None else {tuple(p) for p in dots.xy[dots.channel == number].tolist()}
    for source, (x, y) in zip(
        mine.tolist(), (one.frame.points_from_source(mine.double()).numpy() * zoom).tolist(), strict=True
    ):
        _dot(out, x, y, DOT, filled=tuple(source) in kept or one.view.role == "beside")
    return out


def _caption(one: Look, counted: float | None) -> str:
    expected = "" if one.expected is None else f", expected {one.expected:.1f}"
    number = (
        f"no count, {f'answers {one.answer!r}' if one.answer else 'no answer'}"
        if counted is None
        else f"{counted:g}"
        if one.answer_count.value == counted
        else f"about {counted:.1f}"
    )
    return f"{one.view.name}: {number}{expected}"


def _dot(image: Image.Image, x: float, y: float, colour: Colour, *, filled: bool) -> None:
    r = max(3.0, 0.011 * max(image.size))
    draw = ImageDraw.Draw(image)
    if filled:
        draw.ellipse((x - r - 1.5, y - r - 1.5, x + r + 1.5, y + r + 1.5), fill=RIM)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        return
    draw.ellipse((x - r - 1, y - r - 1, x + r + 1, y + r + 1), outline=RIM, width=4)
    draw.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=2)
