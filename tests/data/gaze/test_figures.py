"""The picture of an alignment can be read whatever happened: no words over others, none beyond the edge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isotherm.data.gaze.align import align
from isotherm.data.gaze.clock import VideoClock
from isotherm.data.gaze.figures import alignment_diagram, alignment_figure
from isotherm.data.gaze.formats.raw import RawGaze
from isotherm.data.gaze.limits import AlignOptions
from rigs.breadth import wide

SIZE = (480, 640)
LONG = "a_recording_of_somebody_in_a_kitchen_on_a_long_morning_with_every_camera_running_part_0001"


def alignment(
    seconds, *, video_s=10.0, name="v.mp4", size=SIZE, device_s=None, world_s=None, path="gaze.csv", **options
):
    seconds = np.asarray(seconds, float)
    xy = np.stack([320 + 500 * np.sin(seconds), 240 + 100 * np.cos(2 * seconds)], -1)
    device = seconds if device_s is None else device_s
    time_ns = np.rint(device * 1e9).astype(np.int64)
    clock = VideoClock(np.arange(0, video_s, 1 / 30), size, name)
    raw = RawGaze(
        Path(path), "test", time_ns, xy, "pixels", np.ones(len(xy), np.float32), "video" if world_s is None else "device"
    )  # fmt: skip
    world = None if world_s is None else np.rint(np.asarray(world_s) * 1e9).astype(np.int64)
    return align(raw, clock=clock, world_ns=world, options=AlignOptions(**options))


def far_and_late():
    """Neither covered nor within the video: two refusals."""
    return alignment(np.arange(40, 43, 1 / 60), video_s=3.0)


def before():
    return alignment(np.arange(-90, -60, 1 / 60), video_s=3.0)


def everything_wrong():
    """Drift, stumbling clocks, other numbers of frames, and no sample where the video is."""
    rng = np.random.default_rng(0)
    world = np.arange(0, 12, 1 / 30) * 1.001 + rng.normal(0, 0.2, 360).cumsum() * 0.05
    return alignment(np.arange(60, 70, 1 / 60), world_s=np.sort(world), path=f"{LONG}.csv", name=f"{LONG}.mp4")


def numbers_of_a_wall_clock():
    return alignment(1.7e9 + np.arange(0, 5, 1 / 60), path=f"{LONG}.csv", name=f"{LONG}.mp4")


def tall():
    return alignment(np.arange(0, 9, 1 / 60), size=(1920, 1080))


def one_sample():
    return alignment([0.5])


def fits():
    return alignment(np.arange(0, 9.9, 1 / 60))


CASES = {far_and_late: 2, before: 2, everything_wrong: 4, numbers_of_a_wall_clock: 2, tall: 0, one_sample: 1, fits: 0}
FIRST = (everything_wrong, numbers_of_a_wall_clock, tall, fits)
"""Most words, longest numbers, the narrowest picture, and one that nothing is wrong with."""


def words_of(figure):
    """(words, box in pixels) of everything that is written in a figure."""
    from matplotlib.text import Text

    figure.canvas.draw()
    box = figure.bbox
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    # ticks beyond the axes' limits are kept by matplotlib and not drawn
    labels = {id(t) for axes in figure.findobj(type(figure.axes[0])) for t in axes.get_xticklabels() + axes.get_yticklabels()}  # fmt: skip
    drawn = set()
    for axes in figure.findobj(type(figure.axes[0])):
        for axis in (axes.xaxis, axes.yaxis):
            drawn |= {id(tick.label1) for tick in axis._update_ticks() if tick.label1.get_visible()}
    return [(t.get_text(), t.get_window_extent(), box) for t in shown if id(t) not in labels or id(t) in drawn]


@pytest.mark.parametrize(
    "case", [*FIRST, *wide(case for case in CASES if case not in FIRST)], ids=lambda case: case.__name__
)
def test_no_words_lie_over_others_or_beyond_the_edge(case):
    aligned = case()
    assert len(aligned.report.failed) == CASES[case]
    words = words_of(alignment_diagram(aligned))
    for text, box, whole in words:
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= whole.x1, text
        assert box.y1 <= whole.y1, text
    over = [
        (a, b) for i, (a, p, _) in enumerate(words) for b, q, _ in words[i + 1 :] if p.padded(-1).overlaps(q.padded(-1))
    ]
    assert over == []
    for check in aligned.report.failed:
        assert any(check.name in text for text, _, _ in words)
    facts = aligned.report.facts
    assert any(
        [part[:12] for part in text.split(" over ")] == [facts["file"][:12], facts["video"][:12]]
        for text, _, _ in words
    )
    assert alignment_figure(aligned).size[0] == 1560
