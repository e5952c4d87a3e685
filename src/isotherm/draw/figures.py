"""Diagrams: curves, scatter plots and tables of colour, by matplotlib, without its global state."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from isotherm.errors import ShapeError

SERIES = ("#0e7490", "#b45309", "#7c3aed", "#15803d", "#be123c", "#1d4ed8", "#a16207", "#475569")
"""Colours of series on white, dark enough to read, far enough apart also without red and green."""
STYLES = ("-", "--", "-.", ":")
INK, PALE = "#111827", "#e5e7eb"
Curve = tuple[Sequence[float], Sequence[float]]


def curve_figure(
    curves: Mapping[str, Curve],
    *,
    x: str,
    y: str,
    title: str = "",
    diagonal: bool = False,
    log_y: bool = False,
    size: tuple[float, float] = (5.4, 3.8),
) -> Image.Image:
    """Named curves over one pair of axes.

    Args:
        curves: name -> (x values, y values); NaN breaks a curve.
        x, y: of the axes, with their units.
        diagonal: also the line y = x.
        log_y: a logarithmic axis.
        size: of the picture in inches of 160 pixels.

    Raises:
        ShapeError: x and y values of different numbers.

    Example:
        >>> curve_figure({"loss": ([1, 2, 3], [3.0, 2.0, 1.5])}, x="step", y="loss in nats").size
        (864, 608)
    """
    for name, (xs, ys) in curves.items():
        if len(xs) != len(ys):
            raise ShapeError(f"the curve {name!r} has {len(xs)} x and {len(ys)} y values; expected as many of each")

    def draw(axes: Any) -> None:
        if diagonal:
            axes.axline((0, 0), slope=1, color=PALE, linewidth=1.2, zorder=0)
        for i, (name, (xs, ys)) in enumerate(curves.items()):
            axes.plot(
                xs,
                ys,
                STYLES[i // len(SERIES) % len(STYLES)],
                color=SERIES[i % len(SERIES)],
                linewidth=1.8,
                label=name,
                solid_capstyle="round",
            )
        if log_y:
            axes.set_yscale("log")
        if len(curves) > 1:
            axes.legend(frameon=False, fontsize=8)

    return _drawn(draw, x, y, title, size)


def scatter_figure(
    points: Mapping[str, Curve], *, x: str, y: str, title: str = "", size: tuple[float, float] = (4.4, 4.2)
) -> Image.Image:
    """Named clouds of points with the line y = x, on equal axes: what was predicted over what is true.

    Args:
        points: name -> (x values, y values); pairs with a NaN are left out. The others as of :func:`curve_figure`.
    """
    for name, (xs, ys) in points.items():
        if len(xs) != len(ys):
            raise ShapeError(f"the points {name!r} have {len(xs)} x and {len(ys)} y values; expected as many of each")

    def draw(axes: Any) -> None:
        axes.axline((0, 0), slope=1, color=PALE, linewidth=1.2, zorder=0)
        for i, (name, (xs, ys)) in enumerate(points.items()):
            axes.scatter(xs, ys, s=12, color=SERIES[i % len(SERIES)], alpha=0.6, linewidths=0, label=name)
        axes.set_aspect("equal", adjustable="datalim")
        if len(points) > 1:
            axes.legend(frameon=False, fontsize=8)

    return _drawn(draw, x, y, title, size)


def matrix_figure(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    x: str,
    y: str,
    title: str = "",
    less_is_better: bool = True,
    form: str = "{:.3g}",
) -> Image.Image:
    """A table whose cells are coloured by their values; what is not known stays white.

    Args:
        values: (rows, columns), NaN where not known.
        rows, columns: their names.
        form: of the numbers in the cells.
        less_is_better: the lowest value is the darkest colour and has a frame; otherwise the highest.

    Raises:
        ShapeError: as many names as there are rows and columns are needed.
    """
    if values.shape != (len(rows), len(columns)):
        raise ShapeError(f"the values have shape {values.shape}; there are {len(rows)} rows and {len(columns)} columns")

    def draw(axes: Any) -> None:
        known = np.isfinite(values)
        shown = np.where(known, values, np.nan)
        axes.imshow(shown, cmap="viridis" if less_is_better else "viridis_r", aspect="auto")
        low, high = (np.nanmin(shown), np.nanmax(shown)) if known.any() else (0.0, 1.0)
        for i, j in np.ndindex(*values.shape):
            share = (values[i, j] - low) / (high - low) if known[i, j] and high > low else 0.0
            dark = share < 0.6 if less_is_better else share > 0.4
            axes.text(
                j,
                i,
                form.format(values[i, j]) if known[i, j] else "–",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if known[i, j] and dark else INK,
            )
        if known.any():
            best = np.unravel_index(np.nanargmin(shown) if less_is_better else np.nanargmax(shown), shown.shape)
            from matplotlib.patches import Rectangle

            axes.add_patch(
                Rectangle((best[1] - 0.48, best[0] - 0.48), 0.96, 0.96, fill=False, edgecolor="#f59e0b", linewidth=2.5)
            )
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.grid(False)

    return _drawn(draw, x, y, title, (max(3.6, 1.1 * len(columns) + 1.4), max(2.4, 0.6 * len(rows) + 1.4)))


def _drawn(draw: Callable[[Any], None], x: str, y: str, title: str, size: tuple[float, float]) -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=160, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(True, color=PALE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, colors=INK)
    if title:
        axes.set_title(title, fontsize=10, color=INK, loc="left")
    canvas.draw()
    w, h = (math.floor(v) for v in canvas.get_width_height())
    return Image.frombuffer("RGBA", (w, h), bytes(canvas.buffer_rgba())).convert("RGB")
