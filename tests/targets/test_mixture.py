"""Many points in one map: by hand, beside loops, weights, states, order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import targets
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.points import State
from oracles import targets as oracle

SIZE = (6, 8)
BOTH = pytest.mark.parametrize("how", ["mixture", "max"])
ORACLE = {"mixture": oracle.mixture, "max": oracle.largest}


def test_by_hand():
    e = math.exp(-2)
    at, weights = torch.tensor([[0.5, 0.5], [2.5, 0.5]]), torch.tensor([3.0, 1.0])
    peaks = targets.mixture(at, (1, 3), sigma_cells=1.0, weights=weights, how="max").heatmap.values
    torch.testing.assert_close(peaks, torch.tensor([[1.0, math.exp(-0.5), max(e, 1 / 3)]]))
    total = 1 + math.exp(-0.5) + e
    got = targets.mixture(at, (1, 3), sigma_cells=1.0, weights=weights).heatmap.values
    torch.testing.assert_close(
        got, torch.tensor([[(3 + e) / 4 / total, math.exp(-0.5) / total, (3 * e + 1) / 4 / total]])
    )


@BOTH
def test_beside_loops(how):
    at, weights = torch.rand(2, 4, 2, dtype=torch.float64) * 8, torch.rand(2, 4, dtype=torch.float64)
    got = targets.mixture(at, SIZE, sigma_cells=1.3, weights=weights, how=how)
    for i in range(2):
        np.testing.assert_allclose(
            got.heatmap.values[i].numpy(), ORACLE[how](at[i].numpy(), 1.3, weights[i].tolist(), *SIZE), atol=1e-12
        )
    assert got.heatmap.kind == ("probability" if how == "mixture" else "peak")
    assert got.state.tolist() == [State.LABELLED] * 2


def test_not_the_flat_map_that_a_softmax_over_the_mean_makes():
    """The ratio of the largest to the smallest value within 3 sigma of the points is near that of a Gaussian, 90."""
    at = torch.tensor([[8.5, 8.5], [8.5, 8.5]])
    got = targets.mixture(at, (17, 17), sigma_cells=1.5).heatmap.values
    upstream = (
        targets.gaussian(at, (17, 17), sigma_cells=1.5, kind="probability").heatmap.values.mean(0).flatten().softmax(0)
    )
    assert (upstream.max() / upstream.min()).item() < 1.1
    assert (got[8, 8] / got[8, 4]).item() == pytest.approx(math.exp(16 / 4.5), rel=1e-4)


@BOTH
@given(st.permutations(range(4)), st.integers(0, 10))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_points_does_not_matter(how, order, seed):
    random = torch.Generator().manual_seed(seed)
    at, weights = (
        torch.rand(4, 2, generator=random, dtype=torch.float64) * 8,
        torch.rand(4, generator=random, dtype=torch.float64),
    )
    state = torch.tensor([1, 2, 0, 1])
    one = targets.mixture(at, SIZE, sigma_cells=1.0, weights=weights, how=how, state=state)
    other = targets.mixture(at[order], SIZE, sigma_cells=1.0, weights=weights[order], how=how, state=state[order])
    torch.testing.assert_close(one.heatmap.values, other.heatmap.values)
    assert one.state == other.state


@given(st.lists(st.tuples(st.floats(-3, 11), st.floats(-3, 9)), min_size=1, max_size=5), st.floats(0.4, 3))
@settings(max_examples=30, deadline=None)
def test_mass_is_conserved(places, sigma):
    got = targets.mixture(torch.tensor(places, dtype=torch.float64), SIZE, sigma_cells=sigma).heatmap.values
    assert got.sum().item() == pytest.approx(1, abs=1e-12)


@BOTH
def test_a_flipped_frame_gives_the_flipped_map(how):
    frame = Frame.resize((30, 40), SIZE)
    at = frame.points_to_source(torch.rand(3, 2, dtype=torch.float64) * 6)
    plain, flipped = (targets.mixture(at, f, sigma_cells=0.8, how=how).heatmap.values for f in (frame, frame.flipped()))
    torch.testing.assert_close(flipped, plain.flip(-1))


def test_a_cropped_frame_gives_the_part_of_the_map():
    """Of peaks the part itself; of a distribution the part made to sum to 1 again."""
    frame = Frame.resize((30, 40), SIZE)
    at = frame.points_to_source(torch.rand(3, 2, dtype=torch.float64) * 6)
    crop = frame.cropped((1, 1, 7, 5))
    peaks, part = (targets.mixture(at, f, sigma_cells=0.8, how="max").heatmap.values for f in (crop, frame))
    torch.testing.assert_close(peaks, part[1:5, 1:7])
    shares, part = (targets.mixture(at[:1], f, sigma_cells=0.8).heatmap.values for f in (crop, frame))
    torch.testing.assert_close(shares, part[1:5, 1:7] / part[1:5, 1:7].sum())


@BOTH
def test_gradients_in_points_sigma_and_weights(how):
    at = torch.tensor([[1.1, 2.2], [3.3, 0.7], [4.6, 3.1]], dtype=torch.float64, requires_grad=True)
    sigma = torch.tensor([0.8, 1.1, 1.4], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([1.0, 0.7, 0.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda p, s, w: targets.mixture(p, (4, 5), sigma_cells=s, weights=w, how=how).heatmap.values,
        (at, sigma, weights),
    )


@BOTH
@pytest.mark.parametrize(
    ("states", "weights", "fused"),
    [
        ([State.LABELLED, State.UNLABELLED], [1, 1], State.LABELLED),
        ([State.UNLABELLED, State.ABSENT], [1, 1], State.UNLABELLED),
        ([State.ABSENT, State.ABSENT], [1, 1], State.ABSENT),
        ([State.OCCLUDED, State.ABSENT], [1, 1], State.LABELLED),
        ([State.LABELLED, State.ABSENT], [0, 1], State.UNLABELLED),
        ([], [], State.ABSENT),
    ],
)
def test_fused_states(how, states, weights, fused):
    n = len(states)
    target = targets.mixture(
        torch.full((n, 2), 2.0),
        SIZE,
        sigma_cells=1.0,
        how=how,
        state=torch.tensor([int(s) for s in states], dtype=torch.long),
        weights=torch.tensor(weights, dtype=torch.float32),
    )
    assert target.state.item() == fused
    assert bool((target.heatmap.values > 0).any()) is (fused == State.LABELLED)


@pytest.mark.parametrize(
    ("policy", "how", "state", "empty"),
    [
        ("tail", "max", State.LABELLED, False),
        ("clip", "mixture", State.LABELLED, False),
        ("drop", "mixture", State.UNLABELLED, True),
        ("background", "max", State.OUT_OF_FRAME, True),
    ],
)
def test_policies_for_points_outside(policy, how, state, empty):
    target = targets.mixture(torch.tensor([[-2.0, 3.0]]), SIZE, sigma_cells=1.0, how=how, off_frame=policy)
    assert target.state.item() == state
    assert bool((target.heatmap.values == 0).all()) is empty


@BOTH
def test_points_that_are_not_shown_may_be_anything(how):
    at = torch.tensor([[2.0, 3.0], [math.nan, 1.0]], requires_grad=True)
    target = targets.mixture(at, SIZE, sigma_cells=1.0, how=how, weights=torch.tensor([1.0, math.nan]))
    target.heatmap.values.square().sum().backward()
    alone = targets.mixture(at[:1], SIZE, sigma_cells=1.0, how=how)
    torch.testing.assert_close(target.heatmap.values, alone.heatmap.values)
    assert bool(torch.isfinite(at.grad).all())


@BOTH
@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_nothing_gives_nothing(how, shape):
    target = targets.mixture(torch.zeros(*shape, 2), SIZE, sigma_cells=1.0, how=how)
    assert target.heatmap.values.shape == (shape[0], *SIZE)
    assert target.heatmap.values.sum() == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"how": "sum"}, OptionError, "how is 'sum'; expected 'mixture' or 'max'"),
        ({"off_frame": "background"}, OptionError, "off_frame='background' has no meaning"),
        ({"weights": torch.tensor([1.0, -1.0])}, OptionError, "a weight is -1; expected finite numbers of at least 0"),
        ({"weights": torch.ones(3)}, ShapeError, r"weights have shape \(3,\); expected \(2,\)"),
        ({"sigma_cells": 0.0}, OptionError, "sigma_cells is 0"),
    ],
)
def test_mistakes(change, error, message, unchecked):
    with pytest.raises(error, match=message):
        targets.mixture(torch.zeros(2, 2), SIZE, **({"sigma_cells": 1.0} | change))
