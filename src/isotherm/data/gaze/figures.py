"""The picture of an alignment: samples over time, how far the clocks lie apart, and where in the picture gaze was."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from isotherm.data.gaze.align import Alignment
from isotherm.data.gaze.limits import AlignOptions
from isotherm.data.gaze.states import GazeState
from isotherm.draw.figures import INK, PALE

COLOURS = {GazeState.TRACKED: "#0e7490", GazeState.OUT_OF_FRAME: "#b45309", GazeState.MISSING: "#cbd5e1"}
NAMES = {GazeState.TRACKED: "tracked", GazeState.OUT_OF_FRAME: "out of frame", GazeState.MISSING: "missing"}
REFUSED, GOOD, FAINT = "#be123c", "#15803d", "#64748b"
WIDTH, HEIGHT, LINE, DPI = 10.4, 6.6, 0.21, 150
"""Inches, of the picture without refusals and of a refusal's line, and pixels of an inch."""
MOST_POINTS = 20_000
LEFT, RIGHT = 0.065, 0.95


def alignment_figure(alignment: Alignment, options: AlignOptions | None = None) -> Image.Image:
    """What the report says, to be looked at.

    Args:
        alignment: of any recording.
        options: the limits by which it was judged.

    Returns:
        A picture of 1560 pixels by 990, and by a line more for each figure beyond its limit.
    """
    canvas = alignment_diagram(alignment, options).canvas
    canvas.draw()
    w, h = (math.floor(v) for v in canvas.get_width_height())
    return Image.frombuffer("RGBA", (w, h), bytes(canvas.buffer_rgba())).convert("RGB")


def alignment_diagram(alignment: Alignment, options: AlignOptions | None = None) -> Any:
    """The same as a figure of matplotlib, with a canvas that has not been drawn yet.

    Args:
        alignment: of any recording.
        options: the limits by which it was judged.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = HEIGHT + LINE * len(alignment.report.failed)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    _title(figure, alignment, height)
    grid = figure.add_gridspec(
        2,
        2,
        left=LEFT,
        right=RIGHT,
        top=1 - (1.22 + height - HEIGHT) / height,
        bottom=0.56 / height,
        hspace=0.46,
        wspace=0.17,
        width_ratios=(1.25, 1),
        height_ratios=(1, 1.15),
    )
    _rate(_axes(figure, grid[0, :], "samples per second over the video"), alignment)
    _clock(_axes(figure, grid[1, 0], "the video's clock against the recorder's"), alignment, options or AlignOptions())
    room = grid[1, 1].subgridspec(1, 2, width_ratios=(0.85, 0.15))  # for the picture, and for the bar of seconds
    _places(_axes(figure, room[0], "where in the picture"), alignment)
    return figure


def _axes(figure: Any, place: Any, title: str) -> Any:
    axes = figure.add_subplot(place)
    axes.set_title(title, fontsize=10, color=INK, loc="left", pad=7, fontweight="bold")
    axes.grid(True, color=PALE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#94a3b8")
    axes.tick_params(labelsize=8, colors=FAINT, length=3)
    return axes


def _title(figure: Any, alignment: Alignment, height: float) -> None:
    facts, failed = alignment.report.facts, alignment.report.failed
    names = [facts["file"], *([facts["video"]] if facts["video"] else [])]
    verdict = figure.text(
        RIGHT, 1 - 0.35 / height, "refused" if failed else "aligned", fontsize=10.5, fontweight="bold", ha="right", color="white",
        bbox={"boxstyle": "round,pad=0.45", "facecolor": REFUSED if failed else GOOD, "edgecolor": "none"},
    )  # fmt: skip
    room = verdict.get_window_extent().x0 / DPI / WIDTH - LEFT - 0.02
    _fitted(figure, room, names, between=" over ", y=1 - 0.363 / height, fontsize=14, fontweight="bold", color=INK)
    states = facts["states"]
    whole = max(1, sum(states.values()))
    rate = facts["samples"]["rate_hz"]
    parts = [
        facts["format"],
        f"{whole} sample{'' if whole == 1 else 's'}",
        *([] if rate is None else [f"{rate:.4g} per second"]),
    ]
    parts += [f"{states[s.name.lower()] / whole:.1%} {NAMES[s]}" for s in GazeState]
    _fitted(figure, RIGHT - LEFT, ["   ·   ".join(parts)], y=1 - 0.627 / height, fontsize=9.5, color=FAINT)
    for i, check in enumerate(failed):
        y = 1 - (0.627 + LINE * (i + 1)) / height
        _fitted(figure, RIGHT - LEFT, [f"refused: {check.words}"], y=y, fontsize=9.5, color=REFUSED)


def _fitted(figure: Any, room: float, parts: Sequence[str], *, y: float, between: str = "", **style: Any) -> None:
    """A line from the left that keeps to a share of the width: parts that are too long lose their middles."""
    text = figure.text(LEFT, y, between.join(parts), **style)
    most = max(map(len, parts))
    while most > 8 and text.get_window_extent().width / DPI / WIDTH > room:
        most -= 2
        text.set_text(between.join(_without_middle(part, most) for part in parts))


def _without_middle(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: (most - 1) // 2]}…{words[-(most // 2) :]}"


def _rate(axes: Any, alignment: Alignment) -> None:
    """Stacked counts in bins; where nothing was recorded there is nothing."""
    recording, clock = alignment.recording, alignment.clock
    start = min(0.0, float(recording.time_s[0]))
    stop = max(float(recording.time_s[-1]), clock.end_s if clock is not None else 0.0)
    rate = alignment.report.facts["samples"]["rate_hz"] or 1.0
    # bins of at least forty samples, so that the beat of rate and bin is no pattern
    count = int(np.clip((stop - start) * rate / 40, 1, 240))
    edges = np.linspace(start, max(stop, start + 1e-3), count + 1)
    width, below = float(edges[1] - edges[0]), np.zeros(count)
    for state, colour in COLOURS.items():
        values = np.histogram(recording.time_s[recording.state == state], edges)[0] / width
        axes.stairs(below + values, edges, baseline=below, fill=True, color=colour, label=NAMES[state], linewidth=0)
        below = below + values
    if clock is not None and clock.name:
        _video_marks(axes, clock.end_s, float(edges[0]), float(edges[-1]))
    steps = np.diff(recording.time_s)
    wide = np.flatnonzero(steps > max(3 * float(np.median(steps)), 2 * width)) if len(steps) else np.zeros(0, np.int64)
    for i in wide:
        axes.axvspan(recording.time_s[i], recording.time_s[i + 1], color=REFUSED, alpha=0.1, linewidth=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, max(1.0, float(below.max())) * 1.22)
    axes.set_xlabel("seconds of the video", fontsize=8.5, color=FAINT)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.22), labelcolor=INK, handlelength=1.2)  # fmt: skip


def _video_marks(axes: Any, end_s: float, first: float, last: float) -> None:
    """Lines where the video starts and ends, with a word at each, or one for both where they lie close."""
    for edge in (0.0, end_s):
        axes.axvline(edge, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    if end_s > 0.25 * (last - first):
        words = [("video starts", 0.0, "left"), ("video ends", end_s, "right")]
    elif end_s < (first + last) / 2:
        words = [(f"video from 0 to {end_s:.4g} s", end_s, "left")]
    else:
        words = [(f"video from 0 to {end_s:.4g} s", 0.0, "right")]
    for word, edge, side in words:
        axes.annotate(
            word, (edge, 1), (4 if side == "left" else -4, -3), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha=side, va="top", fontsize=7.5, color=INK,
        )  # fmt: skip


def _clock(axes: Any, alignment: Alignment, options: AlignOptions) -> None:
    pairs = alignment.pairs
    if pairs is None:
        axes.set_axis_off()
        words = textwrap.fill(f"no clocks to compare: {alignment.report.facts['how']}", 56)
        axes.text(0.0, 0.5, words, fontsize=9, color=FAINT, va="center", transform=axes.transAxes)
        return
    limit, residual = options.tolerance_s * 1e3, pairs.residual_s * 1e3
    axes.axhspan(-limit, limit, color=GOOD, alpha=0.08, linewidth=0)
    axes.axhline(0, color="#94a3b8", linewidth=0.9)
    inside = np.abs(residual) <= limit
    axes.plot(pairs.video_s, residual, color="#0e7490", linewidth=0.6, alpha=0.35)
    axes.scatter(pairs.video_s[inside], residual[inside], s=9, color="#0e7490", linewidths=0, alpha=0.8)
    axes.scatter(pairs.video_s[~inside], residual[~inside], s=11, color=REFUSED, linewidths=0)
    reach = max(1.4 * limit, 1.35 * float(np.abs(residual).max()))
    axes.set_ylim(-reach, reach)
    axes.set_xlabel("seconds of the video", fontsize=8.5, color=FAINT)
    axes.set_ylabel("later than the line, ms", fontsize=8.5, color=FAINT)
    facts = alignment.report.facts["clock"]
    drift = (
        "" if facts["drift_ppm"] is None else f",  drift {facts['drift_ppm']:.1f} ± {facts['drift_error_ppm']:.1f} ppm"
    )
    words = f"offset {facts['offset_s']:.3f} s{drift},  19 of 20 within {facts['residual_p95_ms']:.2f} ms"
    axes.text(0.012, 0.965, words, fontsize=8, color=INK, va="top", transform=axes.transAxes)
    axes.text(0.988, 0.03, f"green: ± {limit:g} ms", fontsize=7.5, color=GOOD, ha="right", transform=axes.transAxes)


def _places(axes: Any, alignment: Alignment) -> None:
    from matplotlib.patches import Rectangle

    recording = alignment.recording
    h, w = recording.size
    axes.grid(False)
    axes.add_patch(Rectangle((0, 0), w, h, facecolor="#f8fafc", edgecolor="#475569", linewidth=1.2, zorder=0))
    axes.plot([w / 2, w / 2], [0, h], color=PALE, linewidth=0.8, zorder=0.5)
    axes.plot([0, w], [h / 2, h / 2], color=PALE, linewidth=0.8, zorder=0.5)
    known = np.isfinite(recording.xy).all(-1)
    index = np.flatnonzero(known)[:: max(1, int(known.sum()) // MOST_POINTS)]
    if len(index):
        seen = index[recording.state[index] == GazeState.TRACKED]
        points = axes.scatter(
            recording.xy[seen, 0],
            recording.xy[seen, 1],
            c=recording.time_s[seen],
            cmap="viridis",
            s=6,
            linewidths=0,
            alpha=0.75,
        )
        beside = index[recording.state[index] == GazeState.OUT_OF_FRAME]
        axes.scatter(
            recording.xy[beside, 0], recording.xy[beside, 1], s=7, color=COLOURS[GazeState.OUT_OF_FRAME], linewidths=0
        )
        if len(seen):
            bar = axes.figure.colorbar(points, cax=axes.inset_axes((1.02, 0.0, 0.04, 1.0)))
            bar.set_label("seconds", fontsize=8, color=FAINT)
            bar.ax.tick_params(labelsize=7.5, colors=FAINT, length=2)
            bar.outline.set_visible(False)
    # what lies far away would shrink the picture to a stamp
    margin = 0.3
    low, high = np.array([-margin * w, -margin * h]), np.array([(1 + margin) * w, (1 + margin) * h])
    all_xy = recording.xy[known]
    least = np.clip(all_xy.min(0), low, 0) if len(all_xy) else np.zeros(2)
    most = np.clip(all_xy.max(0), [w, h], high) if len(all_xy) else np.array([w, h])
    pad = 0.03 * max(w, h)
    axes.set_xlim(least[0] - pad, most[0] + pad)
    axes.set_ylim(most[1] + pad, least[1] - pad)
    axes.set_aspect("equal", adjustable="box", anchor="NW")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks([0, w / 2, w])
    axes.set_yticks([0, h / 2, h])
    axes.set_xlabel("pixels", fontsize=8.5, color=FAINT)
