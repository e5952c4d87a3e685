"""Grasps: quality, double angles and widths; through frames, where grasps meet, states."""

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
from isotherm.points import Points, State
from oracles import targets as oracle

SIZE = (6, 8)
FRAME = Frame.resize((24, 32), SIZE)  # cells of 4 x 4 pixels


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def one(point, angle, width, frame=FRAME, **options):
    return targets.grasps(tensor([point]), tensor([angle]), tensor([width]), frame, **({"sigma_cells": 1.0} | options))


def test_by_hand():
    """At (14, 10) pixels, cell (3, 2) and its centre; 30 degrees: cos 60 = 0.5; 12 pixels are 3 cells."""
    found = one([14, 10], math.radians(30), 12.0)
    np.testing.assert_allclose(found.quality.heatmap.values.numpy(), oracle.gaussian(3.5, 2.5, 1, 1, *SIZE), atol=1e-12)
    assert sorted(found.supervised.nonzero().tolist()) == [[1, 3], [2, 2], [2, 3], [2, 4], [3, 3]]
    for values, expected in ((found.cos2, 0.5), (found.sin2, math.sqrt(3) / 2), (found.width, 3.0)):
        torch.testing.assert_close(values, torch.where(found.supervised, expected, 0.0).double())
    assert found.quality.state.item() == State.LABELLED


def test_beside_loops():
    random = np.random.default_rng(0)
    at, angle, width = random.uniform(0, 6, (4, 2)), random.uniform(-2, 2, 4), random.uniform(0, 5, 4)
    sigma = random.uniform(0.5, 1.5, 4)
    found = targets.grasps(
        *map(torch.from_numpy, (at, angle, width)), SIZE, sigma_cells=torch.from_numpy(sigma), within_sigmas=1.5
    )
    for i, j in np.ndindex(*SIZE):
        far = [math.hypot(j + 0.5 - x, i + 0.5 - y) / s for (x, y), s in zip(at, sigma, strict=True)]
        k = int(np.argmin(far))
        held = any(int(x) == j and int(y) == i for x, y in at)
        assert bool(found.supervised[i, j]) == (far[k] <= 1.5 or held)
        assert float(found.quality.heatmap.values[i, j]) == pytest.approx(math.exp(-(min(far) ** 2) / 2), abs=1e-9)
        if found.supervised[i, j]:
            got = [float(v[i, j]) for v in (found.cos2, found.sin2, found.width)]
            assert got == pytest.approx([math.cos(2 * angle[k]), math.sin(2 * angle[k]), width[k]], abs=1e-9)


@given(st.floats(-7, 7))
@settings(max_examples=20, deadline=None)
def test_half_a_turn_is_the_same_grasp(angle):
    one_way, other = (one([14, 10], a, 12.0) for a in (angle, angle + math.pi))
    torch.testing.assert_close(one_way.cos2, other.cos2)
    torch.testing.assert_close(one_way.sin2, other.sin2)
    square = one_way.cos2.square() + one_way.sin2.square()
    torch.testing.assert_close(square, one_way.supervised.double())


def test_frames_take_the_angle_and_the_width_with_them():
    plain = one([13, 11], 0.4, 12.0)
    flipped = one([13, 11], 0.4, 12.0, FRAME.flipped())
    torch.testing.assert_close(flipped.cos2, plain.cos2.flip(-1))
    torch.testing.assert_close(flipped.sin2, -plain.sin2.flip(-1))
    torch.testing.assert_close(flipped.width, plain.width.flip(-1))
    turned = one([13, 11], 0.4, 12.0, FRAME.rotated(90, size=(8, 6)))
    torch.testing.assert_close(turned.cos2, -torch.rot90(plain.cos2))
    torch.testing.assert_close(turned.sin2, -torch.rot90(plain.sin2))
    cropped = one([13, 11], 0.4, 12.0, FRAME.cropped((1, 0, 6, 5)))
    torch.testing.assert_close(cropped.width, plain.width[:5, 1:6])
    # twice as many cells along y: a grasp along y is twice as wide in them, one along x is not
    tall = Frame.resize((24, 32), (12, 8))
    assert one([14, 10], math.pi / 2, 12.0, tall).width.max().item() == pytest.approx(6)
    assert one([14, 10], 0.0, 12.0, tall).width.max().item() == pytest.approx(3)
    batch = targets.grasps(
        tensor([[[13, 11]]] * 2),
        tensor([[0.4]] * 2),
        tensor([[12.0]] * 2),
        Frame.stack([FRAME, FRAME.flipped()]),
        sigma_cells=1.0,
    )
    torch.testing.assert_close(batch.sin2, torch.stack([plain.sin2, flipped.sin2]))


def test_the_cell_that_holds_a_grasp_is_always_supervised():
    found = one([12.1, 8.1], 0.0, 4.0, sigma_cells=0.1)
    assert found.supervised.nonzero().tolist() == [[2, 3]]
    edge = one([32, 24], 0.0, 4.0, sigma_cells=0.1)
    assert edge.supervised.nonzero().tolist() == [[5, 7]]


@pytest.mark.parametrize(
    ("state", "becomes", "shown"),
    [
        (State.UNLABELLED, State.UNLABELLED, False),
        (State.LABELLED, State.LABELLED, True),
        (State.OCCLUDED, State.LABELLED, True),
        (State.OUT_OF_FRAME, State.LABELLED, True),
        (State.ABSENT, State.ABSENT, False),
    ],
)
def test_every_state(state, becomes, shown):
    found = one([14, 10], 0.0, 4.0, state=torch.tensor([int(state)]))
    assert found.quality.state.item() == becomes
    assert bool(found.supervised.any()) is shown
    points = Points(tensor([[14, 10]]), state=torch.tensor([int(state)]))
    same = targets.grasps(points, tensor([0.0]), tensor([4.0]), FRAME, sigma_cells=1.0)
    torch.testing.assert_close(same.quality.heatmap.values, found.quality.heatmap.values)
    assert same.quality.state == found.quality.state


@pytest.mark.parametrize(
    ("policy", "state", "cells"),
    [
        ("background", State.OUT_OF_FRAME, 0),
        ("drop", State.UNLABELLED, 0),
        ("tail", State.LABELLED, 1),
        ("clip", State.LABELLED, 1),
    ],
)
def test_grasps_outside(policy, state, cells):
    """At (-1.6, 10) pixels, 0.4 cells outside: the centre of one cell lies within one sigma of it, and of the edge beside it."""
    found = one([-1.6, 10], 0.0, 4.0, off_frame=policy)
    assert found.quality.state.item() == state
    assert int(found.supervised.sum()) == cells
    if cells:
        x = -0.4 if policy == "tail" else 0
        np.testing.assert_allclose(
            found.quality.heatmap.values.numpy(), oracle.gaussian(x, 2.5, 1, 1, *SIZE), atol=1e-12
        )


def test_what_is_not_known_leaves_no_nan():
    at, angle = (
        tensor([[14, 10], [math.nan, 1], [5, 5]]).requires_grad_(),
        tensor([0.3, 0.1, math.nan]).requires_grad_(),
    )
    width = tensor([8.0, 8.0, 8.0]).requires_grad_()
    found = targets.grasps(at, angle, width, FRAME, sigma_cells=1.0)
    torch.testing.assert_close(found.quality.heatmap.values, one([14, 10], 0.3, 8.0).quality.heatmap.values)
    (found.quality.heatmap.values.sum() + found.cos2.sum() + found.sin2.sum() + found.width.sum()).backward()
    for leaf in (at, angle, width):
        assert bool(torch.isfinite(leaf.grad).all())
        assert leaf.grad[1:].abs().sum() == 0
        assert leaf.grad[0].abs().sum() > 0
    lost = one([14, 10], 0.3, math.inf)
    assert lost.quality.state.item() == State.UNLABELLED


def test_gradients():
    leaves = tensor([[13.1, 10.7], [25.0, 17.3]]), tensor([0.3, -1.0]), tensor([8.0, 5.0])

    def parts(at, angle, width):
        found = targets.grasps(at, angle, width, FRAME, sigma_cells=1.0)
        return found.quality.heatmap.values, found.cos2, found.sin2, found.width

    assert torch.autograd.gradcheck(parts, [leaf.requires_grad_() for leaf in leaves])


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_nothing_gives_nothing(shape):
    found = targets.grasps(torch.zeros(*shape, 2), torch.zeros(shape), torch.zeros(shape), FRAME, sigma_cells=1.0)
    for values in (found.quality.heatmap.values, found.cos2, found.sin2, found.width, found.supervised):
        assert values.shape == (*shape[:-1], *SIZE)
        assert not values.any()
    assert bool((found.quality.state == State.ABSENT).all())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"angle_rad": torch.zeros(3)}, ShapeError, r"angle_rad has shape \(3,\); expected \(2,\)"),
        ({"width_px": torch.zeros(2, 1)}, ShapeError, r"width_px has shape \(2, 1\)"),
        ({"width_px": torch.tensor([1.0, -2.0])}, OptionError, "a width is -2 pixels; expected at least 0"),
        ({"within_sigmas": 0.0}, OptionError, "within_sigmas is 0.0"),
        ({"sigma_cells": 0.0}, OptionError, "sigma_cells is 0"),
        ({"off_frame": "wrap"}, OptionError, "off_frame is 'wrap'"),
    ],
)
def test_mistakes(change, error, message, unchecked):
    options = {
        "points": torch.zeros(2, 2),
        "angle_rad": torch.zeros(2),
        "width_px": torch.zeros(2),
        "frame": FRAME,
        "sigma_cells": 1.0,
    }
    with pytest.raises(error, match=message):
        targets.grasps(**(options | change))
