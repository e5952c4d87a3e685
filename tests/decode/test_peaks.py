"""Several instances in one map: which are found, where, and in what order."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.decode import peaks
from isotherm.errors import KindError, OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.gaussian import outer, peak_vectors
from isotherm.points import State


def gaussians(places, heights, sigma, size):
    at = torch.tensor(places)
    return (outer(*peak_vectors(at, torch.full_like(at, sigma), size)) * torch.tensor(heights)[:, None, None]).amax(0)


def test_places_heights_channels_and_what_is_missing():
    two = gaussians([[10.3, 8.8], [30.25, 20.6]], [0.6, 0.9], 1.5, (32, 48))
    one = gaussians([[20.0, 16.2]], [0.5], 1.5, (32, 48))
    found = peaks(torch.stack([two, one])[None], most=3, threshold=0.2)
    assert found.channel.tolist() == [[0, 0, 0, 1, 1, 1]]
    assert found.state.tolist() == [
        [State.LABELLED, State.LABELLED, State.ABSENT, State.LABELLED, State.ABSENT, State.ABSENT]
    ]
    expected = torch.tensor([[30.25, 20.6], [10.3, 8.8], [20.0, 16.2]])
    torch.testing.assert_close(found.xy[0, [0, 1, 3]], expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.covariance[0, 0], 2.25 * torch.eye(2), atol=1e-2, rtol=0)
    assert bool(found.xy[0, [2, 4, 5]].isnan().all())
    assert found.score[0, [2, 4, 5]].tolist() == [0, 0, 0]


def test_a_plateau_is_one_peak_and_the_radius_suppresses():
    flat = torch.zeros(1, 16, 16)
    flat[0, 4:6, 4:6] = 1.0
    flat[0, 5, 8] = 0.7
    assert int((peaks(flat, most=5, threshold=0.1, radius=1).state == State.LABELLED).sum()) == 2
    assert int((peaks(flat, most=5, threshold=0.1, radius=4).state == State.LABELLED).sum()) == 1
    assert int((peaks(flat, most=5, threshold=0.8, radius=1).state == State.LABELLED).sum()) == 1


def test_at_the_border_and_through_a_frame():
    corner = torch.zeros(1, 8, 8)
    corner[0, 0, 7] = 1.0
    found = peaks(Heatmap(corner, Frame.resize((32, 32), (8, 8)), "probability"), most=1, threshold=0.5)
    assert found.xy.tolist() == [[30.0, 2.0]]


def test_more_asked_than_there_are_cells():
    found = peaks(torch.tensor([[[0.1, 0.2], [0.2, 1.0]]]), most=9, threshold=0.5)
    assert found.xy.shape == (9, 2)
    assert int((found.state == State.LABELLED).sum()) == 1


@settings(max_examples=25, deadline=None)
@given(x=st.floats(5, 11), y=st.floats(5, 11), dx=st.integers(-3, 3), dy=st.integers(-3, 3))
def test_moving_the_map_moves_the_peak(x, y, dx, dy):
    a = peaks(gaussians([[x, y]], [1.0], 1.0, (16, 16))[None], most=1, threshold=0.3).xy
    b = peaks(gaussians([[x + dx, y + dy]], [1.0], 1.0, (16, 16))[None], most=1, threshold=0.3).xy
    torch.testing.assert_close(a + torch.tensor([[dx, dy]]), b, atol=2e-3, rtol=0)


def test_mistakes():
    maps = torch.zeros(1, 8, 8)
    with pytest.raises(OptionError, match="at least 1"):
        peaks(maps, most=0, threshold=0.1)
    with pytest.raises(OptionError, match="threshold is 0"):
        peaks(maps, most=1, threshold=0.0)
    with pytest.raises(KindError, match="moment_inverse"):
        peaks(maps, most=1, threshold=0.1, kind="logits")
