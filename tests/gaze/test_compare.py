"""Whether relevance follows gaze: maps that do, maps that look at the middle, maps that know nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from isotherm import Frame, Heatmap
from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.clip import GazeClip
from isotherm.errors import FrameError, KindError, ShapeError
from isotherm.gaze.compare import compare_gaze
from isotherm.gaze.fixations import fixation_maps, fixations_in, spans_around
from isotherm.moments import Moments

SIZE, CELLS, MOMENTS = (120, 160), (12, 16), 10
FRAME = Frame.resize(SIZE, CELLS)


def walk() -> GazeRecording:
    """Ten seconds at 30 Hz around an ellipse; the last second is a blink."""
    t = np.arange(300) / 30
    xy = np.stack([80 + 60 * np.cos(t * 0.63), 60 + 45 * np.sin(t * 0.63)], -1)
    xy[270:] = np.nan
    return GazeRecording.of(t, xy, size=SIZE)


def moments() -> Moments:
    spans = tuple((float(i), float(i + 1)) for i in range(MOMENTS))
    return Moments(tuple((30 * a, 30 * b) for a, b in spans), tuple(30 * i + 15 for i in range(MOMENTS)), spans)


def following(noise=0.1) -> torch.Tensor:
    cells = FRAME.points_from_source(fixations_in(walk(), moments().times_s))
    draw = torch.Generator().manual_seed(0)
    return fixation_maps(cells, CELLS, torch.tensor([1.5, 1.5])) + noise * torch.rand(MOMENTS, *CELLS, generator=draw)


def heatmap(values, **changes):
    return Heatmap(values, FRAME, "relevance", moments=moments(), **changes)


def test_maps_that_follow_the_gaze_are_better_than_chance_and_than_the_middle():
    found = compare_gaze(heatmap(following()), walk())
    assert found.better_by("NSS").low > 0.5
    assert found.better_by("KL").low > 0
    assert found.better_by("AUC-Judd", than="middle").low > 0
    assert "the model looked where the person looked" in found.verdict
    figures = {row.group: row.figures for row in found.figures.rows}
    assert figures["model"]["AUC-Judd"].mean > 0.9
    assert figures["model"]["sAUC"].mean > 0.85
    assert figures["model"]["NSS"].n == 9
    assert found.fixations.tolist() == [30] * 9 + [0]
    assert "1 of 10 moments have no tracked gaze" in found.notes[0]
    assert json.loads(json.dumps(found.to_json()))["model"]["NSS"][9] is None
    assert "gaze of other moments" in found.table()


def test_maps_that_know_nothing_are_not_told_apart_from_chance_and_opposite_ones_are():
    draw = torch.Generator().manual_seed(1)
    blind = compare_gaze(heatmap(torch.rand(MOMENTS, *CELLS, generator=draw)), walk())
    assert "no difference" in blind.verdict
    assert abs(blind.figures.rows[0].figures["NSS"].mean) < 0.4
    against = compare_gaze(heatmap(1 - following(0.01)), walk())
    assert "the model looked elsewhere" in against.verdict


def test_the_middle_has_exactly_the_figures_of_the_middle_and_no_more_with_its_own_gaze_than_with_others():
    from isotherm.metrics.saliency import middle_map

    same = compare_gaze(heatmap(middle_map(CELLS).expand(MOMENTS, -1, -1).clone()), walk())
    for name, values in same.model.items():
        torch.testing.assert_close(values, same.middle[name], equal_nan=True)
    means = {row.group: row.figures["NSS"].mean for row in same.figures.rows}
    assert means["model"] == pytest.approx(means["gaze of other moments"])


def test_evidence_against_is_no_evidence_and_a_clip_of_gaze_is_as_good_as_its_recording():
    values = following() - 0.2
    signed = compare_gaze(heatmap(values, signed=True), walk())
    clamped = compare_gaze(heatmap(values.clamp(min=0)), walk())
    assert signed.model["NSS"].allclose(clamped.model["NSS"], equal_nan=True)
    recording = walk()
    clip = GazeClip.of_samples(recording.at(recording.time_s, window_s=0.001), SIZE)
    torch.testing.assert_close(
        compare_gaze(heatmap(values.clamp(min=0)), clip).model["NSS"], clamped.model["NSS"], equal_nan=True
    )


def test_fixations_of_other_clips_take_the_place_of_other_moments_for_the_shuffled_auc():
    away = torch.tensor([[5.0, 5.0]]).expand(50, 2)
    found = compare_gaze(heatmap(following(0.0)), walk(), others=away)
    assert found.figures.rows[0].figures["sAUC"].mean > 0.95
    assert not any("sAUC" in note for note in found.notes)


def test_spans_hold_what_lies_in_them():
    recording = GazeRecording.of([0.0, 0.5, 1.0], [[1.0, 1.0], [np.nan, np.nan], [3.0, 1.0]], size=(4, 4))
    assert fixations_in(recording, [(0.0, 1.0), (0.0, 1.01), (2.0, 3.0)]).isfinite().all(-1).sum(1).tolist() == [
        1,
        2,
        0,
    ]
    assert spans_around(torch.tensor([2.0])) == [(1.99, 2.01)]
    empty = GazeRecording.of([], np.zeros((0, 2)), size=(4, 4))
    assert fixations_in(empty, [(0.0, 1.0)]).shape == (1, 0, 2)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="no moments in seconds"):
        compare_gaze(Heatmap(following(), FRAME, "relevance"), walk())
    with pytest.raises(FrameError, match=r"video of \(120, 160\) pixels"):
        compare_gaze(heatmap(following()), GazeRecording.of([0.0], [[1.0, 1.0]], size=(100, 160)))
    with pytest.raises(KindError, match="kind 'logits'"):
        compare_gaze(Heatmap(following(), FRAME, "logits", moments=moments()), walk())
    with pytest.raises(KindError, match="NaN"):
        compare_gaze(heatmap(following() * torch.nan), walk())
