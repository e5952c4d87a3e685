"""Errors of points: by hand, against the slow oracle, whatever the order of points that may be exchanged."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.metrics.pck import nme, pck, pck_area
from isotherm.metrics.point_errors import (
    length_errors,
    line_lengths,
    match_exchangeable,
    out_of_bounds,
    point_errors,
    to_cm,
)
from isotherm.points import State
from oracles import keypoint_metrics as oracle
from rigs.breadth import wide

GROUPS = [(), ((0, 1), (2, 3)), ((0, 2, 4),), ((4, 0, 1, 3, 2),)]


def drawn(seed, m=7, n=5):
    random = torch.Generator().manual_seed(seed)
    predicted, truth = (100 * torch.rand(m, n, 2, generator=random) for _ in range(2))
    state = torch.randint(0, 5, (m, n), generator=random)
    truth[(state == int(State.UNLABELLED)) | (state == int(State.ABSENT))] = torch.nan
    return predicted, truth, state


def test_by_hand():
    predicted = torch.tensor([[[10.0, 0.0], [0.0, 0.0], [5.0, 5.0]]])
    truth = torch.tensor([[[0.0, 3.0], [10.0, 4.0], [torch.nan, torch.nan]]])
    state = torch.tensor([[1, 3, 0]])
    assert point_errors(predicted, truth, state, exchangeable=[(0, 1)])[0, :2].tolist() == [3.0, 4.0]
    apart = point_errors(predicted, truth, state)
    assert apart[0, :2].tolist() == pytest.approx([math.hypot(10, 3), math.hypot(10, 4)])
    assert torch.isnan(apart[0, 2])


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("seed", [0, *wide([1, 2, 3])])
def test_as_the_oracle(groups, seed):
    predicted, truth, state = drawn(seed)
    expected = oracle.errors(predicted.double().numpy(), truth.double().numpy(), state.numpy(), groups)
    got = point_errors(predicted, truth, state, exchangeable=groups)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-9, equal_nan=True)


@pytest.mark.parametrize("groups", GROUPS[1:])
def test_the_order_of_exchangeable_points_changes_nothing(groups):
    predicted, truth, state = drawn(3)
    before = point_errors(predicted, truth, state, exchangeable=groups).nansum()
    for group in groups:
        turned = predicted.clone()
        turned[:, list(group)] = predicted[:, [*group[1:], group[0]]]
        assert point_errors(turned, truth, state, exchangeable=groups).nansum() == pytest.approx(
            float(before), rel=1e-12
        )
    assert point_errors(predicted, truth, state).nansum() >= before
    moved = point_errors(predicted * 2 + 5, truth * 2 + 5, state, exchangeable=groups)
    np.testing.assert_allclose(moved, 2 * point_errors(predicted, truth, state, exchangeable=groups), rtol=1e-5)


def test_one_known_end_is_matched_to_the_nearer_prediction():
    predicted, truth = torch.tensor([[[0.0, 0.0], [9.0, 0.0]]]), torch.tensor([[[8.0, 0.0], [torch.nan, torch.nan]]])
    known = torch.tensor([[True, False]])
    assert match_exchangeable(predicted, truth, known, [(0, 1)]).tolist() == [[1, 0]]


def test_a_place_that_is_not_known_has_no_say_even_if_it_is_a_number():
    # the second true point is not labelled; its left-over coordinates would turn the order around
    predicted, truth = torch.tensor([[[0.0, 0.0], [9.0, 0.0]]]), torch.tensor([[[4.0, 0.0], [0.0, 0.0]]])
    for state in (0, 4):
        assert point_errors(predicted, truth, torch.tensor([[1, state]]), exchangeable=[(0, 1)])[0, 0] == 4


def test_lengths_scales_and_edges():
    predicted = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [0.0, 7.0]]])
    truth = torch.tensor([[[0.0, 0.0], [6.0, 8.0], [0.0, 0.0], [0.0, 6.5]]])
    lines = {"width": (0, 1), "length": (2, 3)}
    assert line_lengths(predicted, lines).tolist() == [[5.0, 7.0]]
    assert length_errors(predicted, truth, torch.tensor([[1, 2, 1, 3]]), lines).tolist() == [[5.0, 0.5]]
    assert torch.isnan(length_errors(predicted, truth, torch.tensor([[1, 0, 1, 3]]), lines)[0, 0])
    assert length_errors(predicted, truth, torch.ones(1, 4, dtype=torch.long), {}).shape == (1, 0)
    in_cm = to_cm(torch.tensor([[5.0, 1.0], [5.0, 1.0]]), torch.tensor([2.0, torch.nan]))
    assert in_cm[0].tolist() == [2.5, 0.5]
    assert in_cm[1].isnan().all()
    points = torch.tensor([[[0.0, 0.0], [20.0, 10.0], [20.1, 5.0], [5.0, -0.1]]])
    assert out_of_bounds(points, torch.tensor([[10, 20]])).tolist() == [[False, False, True, True]]


def test_pck_by_hand_and_as_the_oracle():
    random = np.random.default_rng(0)
    errors, scale = random.uniform(0, 10, (9, 4)), random.uniform(20, 50, 9)
    errors[random.uniform(size=errors.shape) < 0.3] = np.nan
    errors[:, 3] = np.nan
    thresholds = [0.0, 0.05, 0.1, 0.2, 1.0]
    got = pck(torch.tensor(errors), torch.tensor(scale), torch.tensor(thresholds, dtype=torch.float64))
    np.testing.assert_allclose(got.numpy(), oracle.pck(errors, scale, thresholds), equal_nan=True)
    # the exact area is the limit of finer and finer curves
    fine = np.linspace(0, 0.2, 20001)
    curve = pck(torch.tensor(errors), torch.tensor(scale), torch.tensor(fine)).numpy()
    area = np.trapezoid(curve, fine, axis=0) / 0.2
    np.testing.assert_allclose(
        pck_area(torch.tensor(errors), torch.tensor(scale)).numpy(), area, atol=1e-4, equal_nan=True
    )
    assert nme(torch.tensor([[1.0, 3.0], [torch.nan, 4.0]]), torch.tensor([10.0, 8.0])).tolist() == pytest.approx(
        [0.2, 0.5]
    )


def test_a_lost_point_lies_outside_and_spoils_only_its_own_lines():
    lost = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [torch.nan, 0.0]]])
    assert out_of_bounds(lost, torch.tensor([[10, 10]])).tolist() == [[False, False, True]]
    state = torch.ones(1, 3, dtype=torch.long)
    assert length_errors(lost, torch.zeros(1, 3, 2), state, {"width": (0, 1)}).tolist() == [[5.0]]
    with pytest.raises(InputError, match="predicted point 2"):
        length_errors(lost, torch.zeros(1, 3, 2), state, {"width": (0, 2)})


def test_bad_input(unchecked):
    predicted, truth, state = torch.zeros(2, 3, 2), torch.zeros(2, 3, 2), torch.ones(2, 3, dtype=torch.long)
    lost = predicted.clone()
    lost[1, 2, 0] = torch.nan
    with pytest.raises(InputError, match="predicted point 2 of picture 1 is"):
        point_errors(lost, truth, state)
    point_errors(lost, truth, torch.where(torch.arange(3) == 2, 0, state))  # where nothing is known it is not compared
    with pytest.raises(InputError, match="predicted point 2 of picture 1"):  # but it may be exchanged with one that is
        point_errors(lost, truth, torch.where(torch.arange(3) == 2, 0, state), exchangeable=[(1, 2)])
    with pytest.raises(ShapeError, match=r"expected \(m, n, 2\) twice"):
        point_errors(predicted[:, :2], truth, state)
    for groups in ([(0, 3)], [(0, 1), (1, 2)]):
        with pytest.raises(OptionError, match="each in one group at most"):
            point_errors(predicted, truth, state, exchangeable=groups)
    with pytest.raises(OptionError, match=r"px_per_cm is 0\.0"):
        to_cm(torch.zeros(1, 1), torch.zeros(1))
    for line in ((0, 3), (0, -1)):
        with pytest.raises(OptionError, match="the line 'a' has the ends"):
            length_errors(predicted, truth, state, {"a": line})
        with pytest.raises(OptionError, match="the line 'a' has the ends"):
            line_lengths(predicted, {"a": line})
    with pytest.raises(ShapeError, match="one scale per picture"):
        to_cm(torch.zeros(2, 1), torch.ones(1))
    with pytest.raises(OptionError, match=r"scale of row 0 is -1\.0"):
        pck(torch.ones(1, 1), -torch.ones(1), torch.ones(1))
    with pytest.raises(OptionError, match="a threshold is -1"):
        pck(torch.ones(1, 1), torch.ones(1), -torch.ones(1))
    with pytest.raises(OptionError, match="most is 0"):
        pck_area(torch.ones(1, 1), torch.ones(1), most=0.0)
