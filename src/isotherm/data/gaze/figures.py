"""The picture of an alignment: samples over time, how far the clocks lie apart, and where in the picture gaze was."""

from __future__ import annotations

import math
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
SIZE, DPI = (10.4, 6.6), 150
MOST_POINTS = 20_000


def alignment_figure(alignment: Alignment, options: AlignOptions | None = None) -> Image.Image:
    """What the report says, to be looked at.

    Args:
        alignment: of any recording.
        options: the limits by which it was judged.

    Returns:
        A picture of 1560 x 990 pixels.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    _title(figure, alignment)
    grid = figure.add_gridspec(
        2,
        2,
        left=0.065,
        right=0.95,
        top=0.815,
        bottom=0.085,
        hspace=0.46,
        wspace=0.17,
        width_ratios=(1.25, 1),
        height_ratios=(1, 1.15),
    )
    _rate(_axes(figure, grid[0, :], "samples per second over the video"), alignment)
    _clock(_axes(figure, grid[1, 0], "the video's clock against the recorder's"), alignment, options or AlignOptions())
    _places(_axes(figure, grid[1, 1], "where in the picture"), alignment)
    canvas.draw()
    w, h = (math.floor(v) for v in canvas.get_width_height())
    return Image.frombuffer("RGBA", (w, h), bytes(canvas.buffer_rgba())).convert("RGB")


def _axes(figure: Any, place: Any, title: str) -> Any:
    axes = figure.add_subplot(place)
    axes.set_title(title, fontsize=10, color=INK, loc="left", pad=7, fontweight="bold")
    axes.grid(True, color=PALE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#94a3b8")
    axes.tick_params(labelsize=8, colors=FAINT, length=3)
    return axes


def _title(figure: Any, alignment: Alignment) -> None:
    facts, failed = alignment.report.facts, alignment.report.failed
    over = f" over {facts['video']}" if facts["video"] else ""
    figure.text(0.065, 0.945, f"{facts['file']}{over}", fontsize=14, fontweight="bold", color=INK)
    states = facts["states"]
    whole = max(1, sum(states.values()))
    rate = facts["samples"]["rate_hz"]
    parts = [facts["format"], f"{whole} samples", *([] if rate is None else [f"{rate:.4g} per second"])]
    parts += [f"{states[s.name.lower()] / whole:.1%} {NAMES[s]}" for s in GazeState]
    figure.text(0.065, 0.905, "   ·   ".join(parts), fontsize=9.5, color=FAINT)
    verdict = "aligned" if not failed else "refused: " + "; ".join(c.name for c in failed)
    figure.text(
        0.95, 0.947, verdict, fontsize=10.5, fontweight="bold", ha="right", color="white",
        bbox={"boxstyle": "round,pad=0.45", "facecolor": REFUSED if failed else GOOD, "edgecolor": "none"},
    )  # fmt: skip


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
        for edge, side, shift in ((0.0, "left", 4), (clock.end_s, "right", -4)):
            axes.axvline(edge, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            word = "video starts" if side == "left" else "video ends"
            axes.annotate(word, (edge, 1), (shift, -3), xycoords=("data", "axes fraction"), textcoords="offset points", ha=side, va="top", fontsize=7.5, color=INK)  # fmt: skip
    steps = np.diff(recording.time_s)
    wide = np.flatnonzero(steps > max(3 * float(np.median(steps)), 2 * width)) if len(steps) else np.zeros(0, np.int64)
    for i in wide:
        axes.axvspan(recording.time_s[i], recording.time_s[i + 1], color=REFUSED, alpha=0.1, linewidth=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, max(1.0, float(below.max())) * 1.22)
    axes.set_xlabel("seconds of the video", fontsize=8.5, color=FAINT)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.22), labelcolor=INK, handlelength=1.2)  # fmt: skip


def _clock(axes: Any, alignment: Alignment, options: AlignOptions) -> None:
    pairs = alignment.pairs
    if pairs is None:
        axes.set_axis_off()
        words = alignment.report.facts["how"]
        axes.text(0.0, 0.5, f"no clocks to compare:\n{words}", fontsize=9, color=FAINT, va="center", wrap=True, transform=axes.transAxes)  # fmt: skip
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
            bar = axes.figure.colorbar(points, ax=axes, fraction=0.04, pad=0.02)
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
