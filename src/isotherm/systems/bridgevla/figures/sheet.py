"""Panels in rows on one figure of matplotlib, which no list of open figures knows: it is gone when its user lets go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.draw import Scale, Style, colour_table, overlay, scale_of, shared_scale
from isotherm.draw.boxes import PALETTE
from isotherm.draw.colour_maps import DEFAULT
from isotherm.draw.describe import CAPTIONS
from isotherm.draw.overlay import map_tile
from isotherm.errors import InputError, OptionError
from isotherm.frame import Size
from isotherm.heatmap import Heatmap

INK = "#111827"
MUTED = "#6b7280"
COLOURS = tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in PALETTE)
RIM = "#0f172a"
INCHES = 3.1
"""Width of a panel."""
DPI = 160


@dataclass(frozen=True, eq=False)
class Marks:
    """Points and boxes on a panel, in pixels of its image, edge-origin.

    Args:
        points: (n, 2) (x, y).
        rings: (n, 2) more points, drawn as white rings: the truth beside a prediction.
        boxes: (n, 4) (x0, y0, x1, y1).
        colours: of the points or boxes, one after the other and then again; as matplotlib names colours.
        radius: of the dots, and of the rings, in pixels of a figure of 72 per inch.
        width: of the boxes' lines, in the same.
    """

    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    rings: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    colours: Sequence[str] = COLOURS
    radius: float = 3.0
    width: float = 2.0


@dataclass(frozen=True)
class Panel:
    """A picture with a heading.

    Args:
        image: RGB.
        title: above.
        note: one line below.
        scale: of the colour bar at its side; None: no bar.
        caption: of the bar, what its numbers are.
        colormap: of the bar.
        marks: drawn over the image.
    """

    image: Image.Image
    title: str
    note: str = ""
    scale: Scale | None = None
    caption: str = ""
    colormap: str = DEFAULT
    marks: Marks | None = None


def overlay_panel(
    heatmap: Heatmap,
    picture: Image.Image,
    title: str,
    *,
    scale: Scale | None = None,
    colormap: str | None = None,
    alpha: float | None = None,
    note: str = "",
    bar: bool = True,
    marks: Marks | None = None,
) -> Panel:
    """The map over its picture, drawn as everywhere in isotherm, and its colour bar.

    Args:
        heatmap, picture, scale: as of :func:`isotherm.draw.overlay`.
        title, note: of the panel.
        colormap, alpha: colour map and opacity; None: those of isotherm's style.
        bar: with its colour bar.
        marks: drawn over all.
    """
    style = Style(colormap=colormap) if alpha is None else Style(colormap=colormap, opacity=alpha)
    scale = scale_of(heatmap) if scale is None else scale
    drawn = overlay(heatmap, picture, scale=scale, style=style)
    assert isinstance(drawn, Image.Image)
    shown = scale if bar and not scale.is_empty else None
    return Panel(drawn, title, note, shown, CAPTIONS[heatmap.kind], colormap or DEFAULT, marks)


def overlay_panels(
    heatmaps: Sequence[Heatmap],
    pictures: Sequence[Image.Image],
    titles: Sequence[str],
    *,
    colormap: str | None = None,
    alpha: float | None = None,
) -> list[Panel]:
    """Maps over their pictures on one scale, whose bar the last one has.

    Args:
        heatmaps, pictures, titles: as many of each.
        colormap, alpha: as of :func:`overlay_panel`.
    """
    scale, last = shared_scale(list(heatmaps)), len(heatmaps) - 1
    return [
        overlay_panel(h, p, title, scale=scale, colormap=colormap, alpha=alpha, bar=i == last)
        for i, (h, p, title) in enumerate(zip(heatmaps, pictures, titles, strict=True))
    ]


def map_panel(heatmap: Heatmap, title: str, *, colormap: str | None = None, note: str = "") -> Panel:
    """The map alone, on paper, and its colour bar.

    Args:
        heatmap: a single map over a picture.
        title, note: of the panel.
        colormap: None: that of isotherm's style.
    """
    h, w = heatmap.frame.source_size.tolist()
    scale = scale_of(heatmap)
    drawn = map_tile(heatmap, (h, w), scale=scale, style=Style(colormap=colormap))
    shown = None if scale.is_empty else scale
    return Panel(drawn, title, note, shown, CAPTIONS[heatmap.kind], colormap or DEFAULT)


def difference_panel(
    values: Float[Tensor, "h w"], size: Size, title: str, *, caption: str, note: str = "", colormap: str = "coolwarm"
) -> Panel:
    """Differences, every cell as it is, 0 in the middle of a diverging colour map.

    Args:
        values: (h, w) of both signs.
        size: (H, W) of the panel in pixels.
        title, note: of the panel.
        caption: of the colour bar.
        colormap: a diverging one of matplotlib's.
    """
    most = max(float(values.abs().max()), torch.finfo(torch.float32).tiny)
    scale = Scale(-most, most)
    table = colour_table(colormap)
    rgb = (table[(scale.to_unit(values) * (len(table) - 1)).round().long()] * 255).round().byte().numpy()
    image = Image.fromarray(rgb).resize((size[1], size[0]), Image.Resampling.NEAREST)
    return Panel(image, title, note, scale, caption, colormap)


def sheet(
    rows: Sequence[Sequence[Panel]], *, title: str | None = None, save_path: str | os.PathLike[str] | None = None
) -> Any:
    """The panels as a figure, written to a file where one is named.

    Args:
        rows: of panels; a shorter row leaves its last places empty.
        title: above all of them.
        save_path: ends in .png, .jpg, .pdf or .svg.

    Returns:
        The matplotlib Figure, which is not among those that pyplot holds open.

    Raises:
        InputError: another ending, or a folder that is not there.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(row) for row in rows)
    heights = [max(p.image.height / p.image.width for p in row) * INCHES + 0.45 for row in rows]
    size = (columns * (INCHES + 0.45), sum(heights) + (0.5 if title else 0.1))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for row, places in zip(rows, grid, strict=True):
        for axes in places:
            axes.set(xticks=[], yticks=[])  # ticks that nobody sees are laid out all the same
            axes.set_axis_off()
        for panel, axes in zip(row, places, strict=False):
            _draw(panel, axes, figure)
    if title:
        figure.suptitle(title, fontsize=13, color=INK, x=0.01, ha="left", parse_math=False)
    if save_path is not None:
        _save(figure, Path(save_path))
    return figure


def check_colours(colours: Sequence[str]) -> None:
    """Refuse no colours, and those that there are not.

    Raises:
        OptionError: with the first that is none.
    """
    from matplotlib.colors import is_color_like

    wrong = next((repr(colour) for colour in colours if not is_color_like(colour)), None)
    if wrong is not None or not len(colours):
        raise OptionError(
            f"bbox_colors has {wrong or 'nothing in it'}; expected colours as matplotlib names them, such as 'red' or '#22d3ee'"
        )


def _draw(panel: Panel, axes: Any, figure: Any) -> None:
    axes.imshow(np.asarray(panel.image), interpolation="antialiased")
    axes.set_title(panel.title, fontsize=9.5, color=INK, loc="left", parse_math=False)  # a $ is a person's
    if panel.note:
        axes.text(
            0,
            -0.02,
            panel.note,
            transform=axes.transAxes,
            ha="left",
            va="top",
            fontsize=7.5,
            color=MUTED,
            wrap=True,
            parse_math=False,
        )
    if panel.marks is not None:
        _mark(panel.marks, axes)
    if panel.scale is None:
        return
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    colours = ListedColormap(colour_table(panel.colormap).numpy())
    source = ScalarMappable(Normalize(panel.scale.low, panel.scale.high), colours)
    bar = figure.colorbar(source, cax=axes.inset_axes((1.02, 0, 0.04, 1)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, colors=MUTED, length=2)
    bar.ax.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
    bar.ax.yaxis.get_offset_text().set_fontsize(6.5)
    bar.set_label(panel.caption, fontsize=7.5, color=MUTED)


def _mark(marks: Marks, axes: Any) -> None:
    from matplotlib.patches import Rectangle

    limits = axes.get_xlim(), axes.get_ylim()
    colours = [marks.colours[i % len(marks.colours)] for i in range(max(len(marks.points), len(marks.boxes)))]
    for (x0, y0, x1, y1), colour in zip(marks.boxes - 0.5, colours, strict=False):  # imshow counts from pixel centres
        for tint, width in ((RIM, marks.width + 1.6), (colour, marks.width)):
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=tint, linewidth=width))
    if len(marks.rings):
        x, y = (marks.rings - 0.5).T
        for tint, width in ((RIM, 2.6), ("white", 1.4)):
            axes.scatter(x, y, s=(4 * marks.radius) ** 2, facecolors="none", edgecolors=tint, linewidths=width)
    if len(marks.points):
        x, y = (marks.points - 0.5).T
        axes.scatter(x, y, s=(2 * marks.radius) ** 2, c=colours[: len(x)], edgecolors=RIM, linewidths=1.0, zorder=3)
    axes.set(xlim=limits[0], ylim=limits[1])


def _save(figure: Any, fpath: Path) -> None:
    kind = fpath.suffix.lower().removeprefix(".")
    if kind not in ("png", "jpg", "jpeg", "pdf", "svg"):
        raise InputError(f"cannot save a figure as {fpath.name!r}; the name must end in .png, .jpg, .pdf or .svg")
    faster = {"pil_kwargs": {"compress_level": 3}} if kind == "png" else {}  # a seventh more bytes in a third less time
    with atomic_write(fpath) as file:
        figure.savefig(file, format=kind, **faster)
