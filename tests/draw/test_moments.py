"""How the maps of a clip are drawn: each moment over its frame, all of one scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.draw import (
    ReportEntry,
    heatmap_html,
    heatmap_png,
    moment_sheet,
    overlay,
    overlay_frames,
    shared_scale,
    write_report,
)
from isotherm.draw.describe import line_of
from isotherm.draw.moments import each_frame
from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.moments import Timeline

FRAMES = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), dtype=np.uint8)
MOMENTS = Timeline.of(8, fed=8, edges_s=[i / 4 for i in range(9)]).moments(0.5, 4.0, 2)
VALUES = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 4.0]]])
HEATMAP = Heatmap(
    VALUES,
    Frame.resize((48, 64), (2, 2)),
    "relevance",
    label="swims",
    moments=MOMENTS,
    picture=FRAMES[list(MOMENTS.shown)],
)


def test_every_frame_is_under_the_map_of_its_moment():
    drawn = list(overlay_frames(HEATMAP, FRAMES))
    scale = shared_scale([HEATMAP])
    assert len(drawn) == 8
    # the first moment lasts to the middle of frame 2, which then belongs to the second
    for i, frame in enumerate(drawn):
        single = HEATMAP[int(i >= 2)].with_(moments=None)
        np.testing.assert_array_equal(frame, overlay(single, FRAMES[i], scale=scale))


def test_every_frame_needs_its_picture():
    with pytest.raises(ShapeError, match="frame 5 has no picture"):
        list(overlay_frames(HEATMAP, FRAMES[:5]))
    with pytest.raises(ShapeError, match="without moments"):
        each_frame(HEATMAP.with_(moments=None))


def test_a_sheet_has_one_tile_a_moment_and_one_scale():
    sheet = moment_sheet(HEATMAP, side=64)
    by_hand = moment_sheet(HEATMAP, list(FRAMES[[0, 4]]), scale=shared_scale([HEATMAP]), title="swims", side=64)
    assert HEATMAP.moments.shown == (0, 4)
    np.testing.assert_array_equal(np.asarray(sheet), np.asarray(by_hand))
    other = moment_sheet(HEATMAP, scale=shared_scale([HEATMAP[0]]), side=64)
    assert not np.array_equal(np.asarray(sheet), np.asarray(other))
    with pytest.raises(ShapeError, match="has no pictures"):
        moment_sheet(HEATMAP.with_(picture=None))


def test_a_notebook_shows_each_moment_with_its_time():
    html = heatmap_html(HEATMAP)
    assert html.count("<img") == 2
    assert "0 to 0.62 s" in html
    assert "0.62 to 2 s" in html
    assert line_of(HEATMAP[1]).startswith("0.62 to 2 s")
    assert heatmap_png(HEATMAP)[:4] == b"\x89PNG"


def test_a_report_draws_the_moments_of_a_clip_on_one_scale(tmp_path):
    weak = HEATMAP[0].with_(picture=None)
    for scale, high in ((None, 1.0), (shared_scale([HEATMAP]), 4.0)):
        entry = ReportEntry(picture=FRAMES[0], heatmaps=[weak], title="swims", scale=scale)
        page = write_report([entry], tmp_path / "report.html").read_text().replace("&quot;", '"').replace('": ', '":')
        assert f'"high":{high}' in page
