"""A report to print: pictures, their maps, verdicts, notes, and the command that makes all of it again."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from isotherm.atomic import atomic_write
from isotherm.data.pictures import read_picture
from isotherm.draw import scale_of
from isotherm.draw.overlay import overlay_tile
from isotherm.studio.exports.maps import heatmap_of
from isotherm.studio.view_files import pictures_of, view_of, view_path

A4_INCHES = (8.27, 11.69)
MAPS_ON_A_PAGE = 6
MOST_PICTURES = 100
"""Pictures of a report; the rest is named, not drawn."""
CUT = "… the rest stands in the studio."
WIDTH = 96
"""Letters on a line of small text."""


def write_pdf(out: Path, folder: Path, style: Any, remarks: Mapping[str, Any]) -> None:
    """Write the report of a run.

    Args:
        out: the file.
        folder: the run's.
        style: how maps are drawn.
        remarks: title, command, note, tags and time of the run.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    pictures = pictures_of(folder)
    with rc_context({"text.parse_math": False, "pdf.fonttype": 42}), atomic_write(out) as file, PdfPages(file) as pages:
        for lines, images in _pages(folder, pictures[:MOST_PICTURES], style, remarks, len(pictures)):
            figure = Figure(figsize=A4_INCHES)
            _lay_out(figure, lines, images)
            pages.savefig(figure)


Line = tuple[str, int]
"""Text and its size in points."""
Tile = tuple[Any, str]
"""A picture and what stands below it."""


def _pages(
    folder: Path, pictures: Sequence[Mapping[str, Any]], style: Any, remarks: Mapping[str, Any], total: int
) -> Iterator[tuple[list[Line], list[Tile]]]:
    head: list[Line] = [(remarks["title"], 16), *_small(f"{remarks['time']}   {remarks['version']}")]
    head += _small(remarks["command"])
    head += _small(remarks["note"]) + _small(", ".join(remarks["tags"]))
    if total > len(pictures):
        head += _small(f"The first {len(pictures)} of {total} pictures.")
    for picture in pictures:
        if picture["status"] != "done":
            yield [*head, (picture["name"], 12), *_small(f"failed: {picture['error']}")], []
            head = []
            continue
        view = view_of(folder, picture["index"])
        lines = [(picture["name"], 12), *(line for text in (*view["lines"], *view["notes"]) for line in _small(text))]
        tiles = _tiles(folder, picture["index"], view, style)
        for at in range(0, max(1, len(tiles)), MAPS_ON_A_PAGE):
            yield [*head, *lines], tiles[at : at + MAPS_ON_A_PAGE]
            head = []
    if head:
        yield head, []


def _tiles(folder: Path, index: int, view: Mapping[str, Any], style: Any) -> list[Tile]:
    shown = Image.fromarray(read_picture(view_path(folder, index, ".jpg")).array)
    shown.thumbnail((900, 900))
    tiles: list[Tile] = []
    for number, one in enumerate(view["maps"]):
        heatmap, _ = heatmap_of(folder, index, number)
        drawn = overlay_tile(
            heatmap, shown.copy(), scale=scale_of(heatmap), style=style, boxes=[one["box"]] if one["box"] else None
        )
        words = f"{one['label']} · {one['method']} at {one['layer']}\n{one['trust']}"
        tiles.append((drawn, "\n".join(line for part in words.splitlines() for line in textwrap.wrap(part, 68))))
    return tiles or [(shown, "nothing was explained")]


def _small(text: str) -> list[Line]:
    return [(line, 8) for part in str(text).splitlines() for line in textwrap.wrap(part, WIDTH)]


def _lay_out(figure: Any, lines: Sequence[Line], tiles: Sequence[Tile]) -> None:
    """Text from the top down, and the pictures below it in two columns."""
    y = 0.96
    for text, size in lines:
        if y < 0.5:  # of a very long note
            figure.text(0.07, y, CUT, size=8, va="top")
            y -= 8 * 1.45 / 72 / A4_INCHES[1]
            break
        figure.text(0.07, y, text, size=size, va="top")
        y -= size * 1.45 / 72 / A4_INCHES[1]
    rows = (len(tiles) + 1) // 2
    height = (y - 0.06) / max(rows, 1)
    for i, (image, caption) in enumerate(tiles):
        row, column = divmod(i, 2)
        top = y - 0.01 - row * height
        room = 0.28 * height if rows > 1 else 0.15 * height
        axes = figure.add_axes((0.07 + column * 0.45, top - height + room, 0.41, height - room - 0.01))
        axes.imshow(np.asarray(image))
        axes.axis("off")
        axes.set_anchor("S")  # right above its caption
        figure.text(0.07 + column * 0.45, top - height + room - 0.004, caption, size=6, va="top")
