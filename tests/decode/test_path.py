"""Paths: straight where nothing is better, around what is worse, never through what is blocked."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from isotherm.decode import plan_path
from isotherm.errors import OptionError, ShapeError, TargetError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap


def test_a_flat_map_is_crossed_straight():
    path = plan_path(torch.ones(9, 9), (0.5, 4.5), (8.5, 4.5))
    assert path.xy.tolist() == [[x + 0.5, 4.5] for x in range(9)]
    assert path.cost == pytest.approx(8 * 0.05)
    diagonal = plan_path(torch.ones(5, 5), (0.5, 0.5), (4.5, 4.5))
    assert diagonal.cost == pytest.approx(4 * math.sqrt(2) * 0.05)


def test_a_good_road_is_worth_a_detour_and_length_weighs():
    road = torch.zeros(11, 21)
    road[9, :] = road[1:10, 0] = road[1:10, 20] = 1.0
    along = plan_path(road, (0.5, 1.5), (20.5, 1.5))
    assert float(along.xy[:, 1].max()) == 9.5
    straight = plan_path(road, (0.5, 1.5), (20.5, 1.5), length_weight=10.0)
    assert float(straight.xy[:, 1].max()) == 1.5


def test_no_other_way_is_cheaper():
    """All ways over 3 x 3 cells, tried one by one."""
    values = torch.rand(3, 3, generator=torch.Generator().manual_seed(2))
    cost = 0.05 + (values.max() - values) / (values.max() - values.min())
    cells = list(itertools.product(range(3), range(3)))

    def cheapest(here, seen):
        if here == (2, 2):
            return 0.0
        best = math.inf
        for there in cells:
            step = math.dist(here, there)
            if there not in seen and 0 < step < 1.5:
                toll = step * float(cost[here] + cost[there]) / 2
                best = min(best, toll + cheapest(there, {*seen, there}))
        return best

    assert plan_path(values, (0.5, 0.5), (2.5, 2.5)).cost == pytest.approx(cheapest((0, 0), {(0, 0)}), rel=1e-6)


def test_mirrored_and_backwards_it_costs_the_same():
    values = torch.rand(8, 9, generator=torch.Generator().manual_seed(1))
    there = plan_path(values, (0.5, 0.5), (8.5, 7.5)).cost
    assert plan_path(values.flip(1), (8.5, 0.5), (0.5, 7.5)).cost == pytest.approx(there)
    assert plan_path(values.flip(0), (0.5, 7.5), (8.5, 0.5)).cost == pytest.approx(there)
    assert plan_path(values, (8.5, 7.5), (0.5, 0.5)).cost == pytest.approx(there)


def test_source_pixels_and_ends_as_they_were_wanted():
    heatmap = Heatmap(torch.ones(6, 8), Frame.resize((60, 80), (6, 8)), "probability")
    path = plan_path(heatmap, (3.0, 12.0), (77.0, 18.0))
    assert path.xy[0].tolist() == [3.0, 12.0]
    assert path.xy[-1].tolist() == [77.0, 18.0]
    assert path.xy[1].tolist() == [15.0, 15.0]
    assert len(plan_path(heatmap, (3.0, 12.0), (4.0, 13.0)).xy) == 2


def test_blocked_cells_and_nan_are_never_entered():
    values = torch.ones(5, 5)
    blocked = torch.zeros(5, 5, dtype=torch.bool)
    blocked[:4, 2] = True
    assert float(plan_path(values, (0.5, 0.5), (4.5, 0.5), blocked=blocked).xy[:, 1].max()) == 4.5
    values[4, 2] = torch.nan
    with pytest.raises(TargetError, match="blocked cells part them"):
        plan_path(values, (0.5, 0.5), (4.5, 0.5), blocked=blocked)


def test_misuse(unchecked):
    flat = torch.ones(4, 4)
    with pytest.raises(OptionError, match=r"goal lies at cell \(9\.0, 1\.0\) of a map of 4 x 4"):
        plan_path(flat, (1, 1), (9, 1))
    with pytest.raises(OptionError, match=r"start lies in cell \(1, 1\), which is blocked"):
        plan_path(flat, (1, 1), (2, 2), blocked=torch.eye(4, dtype=torch.bool))
    with pytest.raises(OptionError, match="length_weight is 0"):
        plan_path(flat, (1, 1), (2, 2), length_weight=0)
    with pytest.raises(ShapeError, match=r"\(2, 4, 4\); expected a single one"):
        plan_path(torch.ones(2, 4, 4), (1, 1), (2, 2))
    with pytest.raises(ShapeError, match="blocked has shape"):
        plan_path(flat, (1, 1), (2, 2), blocked=torch.zeros(3, 3, dtype=torch.bool))
    with pytest.raises(ShapeError, match="heatmap is a ndarray; expected a tensor"):
        plan_path(np.ones((4, 4)), (1, 1), (2, 2))
    with pytest.raises(ShapeError, match="heatmap is None"):
        plan_path(None, (1, 1), (2, 2))
    with pytest.raises(ShapeError, match=r"start is None; expected the two numbers \(x, y\)"):
        plan_path(flat, None, (2, 2))
    with pytest.raises(ShapeError, match=r"goal has 3 number\(s\)"):
        plan_path(flat, (1, 1), (2, 2, 2))
    with pytest.raises(ShapeError, match="blocked is a ndarray"):
        plan_path(flat, (1, 1), (2, 2), blocked=np.zeros((4, 4), bool))
    with pytest.raises(ShapeError, match=r"blocked has dtype torch.float32"):
        plan_path(flat, (1, 1), (2, 2), blocked=torch.zeros(4, 4))
