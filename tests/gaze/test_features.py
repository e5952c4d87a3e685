"""Raw gaze as numbers: velocity and dwell by hand, nothing from frames that are not tracked, places on the grid."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.gaze.features import FEATURES, OCTAVES, GazeTokens, dwell, frame_places, gaze_features, token_places
from isotherm.gaze.inputs import GazeInputs
from rigs.anticipation_models import random_gaze

T, MISSING, OUT = 0, 1, 2


def walk(x: list[float], state: list[int] | None = None, *, step_s: float = 0.125) -> GazeInputs:
    """Along the middle of a picture of 100 x 100, at steady times."""
    n = len(x)
    xy = torch.stack([torch.tensor(x), torch.full((n,), 50.0)], dim=-1)[None]
    states = torch.tensor([state or [T] * n])
    return GazeInputs(xy, states, torch.full((1, n), 0.5), torch.arange(1 - n, 1)[None] * step_s, (100, 100))


def test_every_number_of_a_frame_by_hand():
    numbers = gaze_features(walk([50, 50, 75]))[0]
    assert numbers.shape == (3, FEATURES)
    last = numbers[2].tolist()
    assert last[:2] == [0.5, 0]
    angles = [math.pi / 2 * 2**k / 2 for k in range(OCTAVES)]
    assert last[2 : 2 + OCTAVES] == pytest.approx([math.sin(a) for a in angles], abs=1e-6)
    # a quarter of a picture in an eighth of a second
    assert last[-5:] == pytest.approx([0.5, 0, math.asinh(2), 0, 0], abs=1e-6)
    assert numbers[1, -5:].tolist() == pytest.approx([0.5, -0.125, 0, 0, 0.125])


def test_dwell_counts_seconds_since_the_gaze_came():
    at = [10, 12, 14, 60, 61, 62, 62]
    assert dwell(walk(at))[0].tolist() == pytest.approx([0, 0.125, 0.25, 0, 0.125, 0.25, 0.375])
    blink = walk(at, [T, T, T, T, MISSING, T, T])
    assert dwell(blink)[0].tolist() == pytest.approx([0, 0.125, 0.25, 0, 0, 0, 0.125])
    assert dwell(walk(at, step_s=0.25))[0].tolist() == pytest.approx([0, 0.25, 0.5, 0, 0.25, 0.5, 0.75])


def test_nothing_comes_from_frames_that_are_not_tracked():
    numbers = gaze_features(walk([10, 20, 90, 30], [T, T, OUT, T]))[0]
    assert (numbers[2] == 0).all()
    # nor does the velocity of the frame behind one
    assert numbers[3, -3:].tolist() == [0, 0, 0]


def test_a_token_is_the_states_where_gaze_is_not_tracked():
    tokens = GazeTokens(8, "tokens")
    gaze = walk([10, 20, 90, 30], [T, MISSING, OUT, T])
    out = tokens(gaze)[0]
    assert torch.equal(out[1], tokens.states.vectors[MISSING])
    assert torch.equal(out[2], tokens.states.vectors[OUT])
    assert not torch.allclose(out[0], out[3])
    zeros = GazeTokens(8, "zeros")(gaze)[0]
    assert torch.equal(zeros[1], zeros[2])


def test_places_on_the_grid_of_tokens():
    assert frame_places(4, 1).tolist() == [0, 1, 2, 3]
    gaze = walk([12.5, 100, 0, 50], [T, T, T, MISSING])
    # columns of 25 pixels, the middle of column 0 at 0; row 1.5 is the middle of four
    assert token_places(gaze, (4, 4), 2)[0].tolist() == [
        [-0.25, 1.5, 0],
        [0.25, 1.5, 3.5],
        [0.75, 1.5, -0.5],
        [1.25, 1.5, 1.5],
    ]


def test_later_frames_do_not_reach_earlier_ones():
    gaze = random_gaze(1)
    later = random_gaze(1, seed=5)
    xy = gaze.xy.clone()
    xy[:, 5:] = later.xy[:, 5:]
    other = GazeInputs(xy, gaze.state, gaze.confidence, gaze.time_s, gaze.size)
    assert torch.equal(gaze_features(gaze)[:, :5], gaze_features(other)[:, :5])
    assert not torch.equal(gaze_features(gaze)[:, 5:], gaze_features(other)[:, 5:])
