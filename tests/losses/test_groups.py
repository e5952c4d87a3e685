"""Points that may be exchanged: the best assignment, exactly, for small and large groups, with states and weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import losses
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.losses import groups
from isotherm.points import State
from oracles import arrays as slow
from oracles.losses import best_order

LOSSES = {"mse": losses.gaussian_mse, "cross_entropy": losses.gaussian_cross_entropy}
EACH = pytest.mark.parametrize("name", LOSSES)
SIZE = (6, 7)


def cost_by_loops(name, maps, points, sigma):
    """The loss of every map against every point, each map of a pair made."""
    kind = "peak" if name == "mse" else "probability"
    cost = np.zeros((len(maps), len(points)))
    for i, j in np.ndindex(*cost.shape):
        target = slow.gaussian_map(*points[j], sigma, sigma, *SIZE, kind=kind)
        cost[i, j] = (
            ((maps[i] - target) ** 2).mean()
            if name == "mse"
            else np.log(np.exp(maps[i]).sum()) - (target * maps[i]).sum()
        )
    return cost


@EACH
@pytest.mark.parametrize("k", [2, 3, 5, 6])
def test_the_best_of_all_orders(name, k):
    """Beside loops over all k! orders; 6 is solved by SciPy, smaller ones at once."""
    generator = torch.Generator().manual_seed(k)
    maps, points = (
        torch.randn(3, k, *SIZE, generator=generator).double(),
        6 * torch.rand(3, k, 2, generator=generator).double(),
    )
    order = losses.assign(maps, points, groups=[range(k)], loss=name, sigma_cells=1.2)
    value = LOSSES[name](maps, points, sigma_cells=1.2, groups=[tuple(range(k))], reduction="none")
    for b in range(3):
        cost = cost_by_loops(name, maps[b].numpy(), points[b].numpy(), 1.2)
        best = best_order(cost)
        assert tuple(order[b].tolist()) == best
        np.testing.assert_allclose(value[b], cost[np.arange(k), best], rtol=1e-10)


@EACH
def test_ends_of_lines(name):
    """Two lines whose ends may be exchanged, but never the lines; swapped labels cost nothing."""
    ends = torch.tensor([[[1.0, 1.0], [6.0, 5.0], [1.0, 5.0], [6.0, 1.0]]])
    peaks = torch.stack([torch.from_numpy(slow.gaussian_map(*p, 1.0, 1.0, *SIZE)).float() for p in ends[0].tolist()])[
        None
    ]
    maps = peaks if name == "mse" else (peaks + 1e-12).log()
    lines = ((0, 1), (2, 3))
    for swap in ([0, 1, 2, 3], [1, 0, 2, 3], [1, 0, 3, 2]):
        assert losses.assign(maps, ends[:, swap], groups=lines, loss=name, sigma_cells=1.0)[0].tolist() == swap
        exact = LOSSES[name](maps, ends, sigma_cells=1.0)
        torch.testing.assert_close(LOSSES[name](maps, ends[:, swap], sigma_cells=1.0, groups=lines), exact)
    crossed = ends[:, [2, 1, 0, 3]]
    assert LOSSES[name](maps, crossed, sigma_cells=1.0, groups=lines) > LOSSES[name](maps, ends, sigma_cells=1.0) + 0.01


@EACH
@settings(deadline=None, max_examples=25)
@given(order=st.permutations(range(4)), seed=st.integers(0, 1000))
def test_the_order_of_the_labels_does_not_matter(name, order, seed):
    generator = torch.Generator().manual_seed(seed)
    maps, points = (
        torch.randn(2, 4, *SIZE, generator=generator).double(),
        6 * torch.rand(2, 4, 2, generator=generator).double(),
    )
    arguments = {"sigma_cells": 1.1, "groups": [(0, 1, 2, 3)]}
    torch.testing.assert_close(
        LOSSES[name](maps, points[:, list(order)], **arguments), LOSSES[name](maps, points, **arguments)
    )


@EACH
@pytest.mark.parametrize("seed", range(6))
def test_states_weights_and_sigmas_go_with_their_points(name, seed):
    """All orders tried by hand with everything carried along; the one that is not labelled holds NaN."""
    generator = torch.Generator().manual_seed(seed)
    maps, points = (
        torch.randn(3, *SIZE, generator=generator).double(),
        6 * torch.rand(3, 2, generator=generator).double(),
    )
    state = torch.tensor([State.LABELLED, State.UNLABELLED, State.ABSENT if name == "mse" else State.OCCLUDED])
    points[1] = torch.nan
    weight, sigma = torch.tensor([1.0, 5.0, 0.3]).double(), torch.tensor([0.8, 1.0, 1.7]).double()
    tried = []
    for order in itertools.permutations(range(3)):
        o = list(order)
        tried.append(
            LOSSES[name](
                maps, points[o], sigma_cells=sigma[o], state=state[o], weight=weight[o], reduction="sum"
            ).item()
        )
    value = LOSSES[name](
        maps, points, sigma_cells=sigma, state=state, weight=weight, groups=[(0, 1, 2)], reduction="sum"
    )
    assert value.item() == pytest.approx(min(tried), rel=1e-10)
    assert max(tried) > min(tried) + 1e-5


@EACH
def test_gradient_goes_through_the_chosen_assignment(name):
    maps = torch.randn(2, 2, *SIZE, dtype=torch.float64, requires_grad=True)
    points = (6 * torch.rand(2, 2, 2, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, p: LOSSES[name](m, p, sigma_cells=1.0, groups=[(0, 1)]), (maps, points))


@EACH
def test_through_a_frame(name):
    frame = Frame.resize((60, 70), SIZE).flipped()
    cells = torch.tensor([[5.5, 4.5], [1.5, 2.5]])
    maps = (
        torch.stack([torch.from_numpy(slow.gaussian_map(*p, 1.0, 1.0, *SIZE)).float() for p in cells.flip(0).tolist()])
        * 5
    )
    assert losses.assign(
        maps, frame.points_to_source(cells), frame, groups=[(1, 0)], loss=name, sigma_cells=1.0
    ).tolist() == [1, 0]


@EACH
def test_no_map_of_a_pair_is_made(name, monkeypatch):
    """The costs of 40 maps against 40 points in one product of vectors each: 1600 maps would take 105 MB."""
    made = []
    monkeypatch.setattr(
        groups, "_least", lambda cost: (made.append(cost.shape), torch.zeros(cost.shape[:-1], dtype=torch.long))[1]
    )
    losses.assign(torch.randn(40, 128, 128), torch.rand(40, 2) * 128, groups=[range(40)], loss=name, sigma_cells=2.0)
    assert made == [(40, 40)]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"groups": [(0, 4)]}, "channel 4, but there are 4"),
        ({"groups": [(0, 1), (1, 2)]}, "channel 1 twice"),
        ({"groups": [(-1, 0)]}, "channel -1"),
        ({"loss": "l1"}, "'l1'; expected 'mse' or"),
    ],
)
def test_bad_input(given, says):
    arguments = {"groups": [(0, 1)], "loss": "mse", "sigma_cells": 1.0} | given
    with pytest.raises(OptionError, match=says):
        losses.assign(torch.zeros(4, *SIZE), torch.ones(4, 2), **arguments)
