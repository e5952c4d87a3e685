"""A recording keeps its parts consistent, and says what is known at any moment."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.data.gaze import GazeRecording, GazeState
from isotherm.errors import OptionError, ShapeError

T, M, OUT = GazeState.TRACKED, GazeState.MISSING, GazeState.OUT_OF_FRAME
NAN = float("nan")


@pytest.fixture
def recording():
    times = [-0.1, 0.0, 0.1, 0.2, 0.3, 1.0]
    places = [[10, 10], [20, 10], [NAN, NAN], [64, 48], [64.5, 10], [30, 40]]
    return GazeRecording.of(times, places, size=(48, 64))


def test_states_follow_from_places(recording):
    assert recording.state.tolist() == [T, T, M, T, OUT, T]  # the very edge is in the picture
    assert recording.confidence.tolist() == [1, 1, 0, 1, 1, 1]


def test_nearest_sample_of_two_as_near_the_earlier(recording):
    samples = recording.at([1.04, 0.05, 0.26, 0.6, -9.0], window_s=0.06)
    assert samples.state.tolist() == [T, T, OUT, M, M]
    assert samples.xy[:3].tolist() == [[30, 40], [20, 10], [64.5, 10]]
    assert np.isnan(samples.xy[3:]).all()
    assert samples.samples.tolist() == [1, 1, 1, 0, 0]
    assert samples.confidence.tolist() == [1, 1, 1, 0, 0]


def test_mean_over_the_samples_that_are_in_the_same_state(recording):
    samples = recording.at([-0.05, 0.05, 0.1, 0.65], window_s=0.11, pooling="mean")
    # -0.1 and 0; then 0 against a blink at 0.1; then 0, blink, 0.2: the blink takes no part
    assert samples.xy[0].tolist() == [15, 10]
    assert samples.state.tolist() == [T, T, T, M]
    assert samples.xy[1].tolist() == [20, 10]
    assert samples.xy[2].tolist() == [42, 29]
    assert samples.samples.tolist() == [2, 1, 2, 0]


def test_mean_equals_a_slow_loop():
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.uniform(0.001, 0.05, 200))
    places = generator.uniform(-20, 90, (200, 2))
    places[generator.uniform(size=200) < 0.2] = np.nan
    recording = GazeRecording.of(times, places, size=(60, 70), confidence=generator.uniform(0, 1, 200))
    asked = generator.uniform(-0.5, times[-1] + 0.5, 50)
    samples = recording.at(asked, window_s=0.08, pooling="mean")
    for i, moment in enumerate(asked):
        near = np.flatnonzero(np.abs(times - moment) <= 0.08)
        counts = [int((recording.state[near] == s).sum()) for s in GazeState]
        state = int(np.argmax(counts)) if len(near) else M
        assert samples.state[i] == state
        same = near[recording.state[near] == state]
        np.testing.assert_allclose(samples.xy[i], recording.xy[same].mean(0) if state != M else [NAN, NAN], atol=1e-9)
        assert samples.samples[i] == len(same)


@pytest.mark.parametrize("pooling", ["nearest", "mean"])
def test_an_empty_recording_is_missing_everywhere(pooling):
    samples = GazeRecording.of([], np.zeros((0, 2)), size=(4, 4)).at([0.0, 1.0], window_s=1, pooling=pooling)
    assert samples.state.tolist() == [M, M]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"time_s": [0.0, 0.0]}, "sample 1 at 0.000000 s does not come after sample 0"),
        ({"time_s": [0.0, NAN]}, "not finite"),
        ({"time_s": [0.0]}, r"xy has shape \(2, 2\)"),
        ({"state": [T, M]}, "sample 1 has state 1 and place"),
        ({"xy": [[1, 1], [NAN, NAN]]}, "sample 1 has state 0"),
        ({"state": [T, 3]}, "sample 1 has state 3"),
        ({"confidence": [1, 1.5]}, "confidence"),
        ({"size": (0, 4)}, "size is"),
    ],
)
def test_parts_that_do_not_fit_are_named(change, words, unchecked):
    parts = {"time_s": [0.0, 1.0], "xy": [[1, 1], [2, 2]], "state": [T, T], "confidence": [1, 1], "size": (4, 4)}
    parts |= change
    kinds = {"time_s": np.float64, "xy": np.float64, "state": np.uint8, "confidence": np.float32}
    with pytest.raises(ShapeError, match=words):
        GazeRecording(**{k: np.array(v, kinds[k]) if k in kinds else v for k, v in parts.items()})


def test_a_window_or_a_pooling_that_is_none(recording, unchecked):
    with pytest.raises(OptionError, match="window_s is 0"):
        recording.at([0.0], window_s=0)
    with pytest.raises(OptionError, match="pooling is 'median'"):
        recording.at([0.0], window_s=1, pooling="median")
