"""Places against their truth: by hand, against loops, and what maps that know what they know must give."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm import decode
from isotherm.errors import OptionError, ShapeError
from isotherm.metrics import credible_level, hit_at, map_nll, nearest_errors

NAN = math.nan


def test_the_nearest_of_several_places_counts_and_missing_ones_do_not():
    found = torch.tensor([[[0.0, 0.0], [NAN, NAN]], [[1.0, 1.0], [7.0, 9.0]]])
    truth = torch.tensor([[[3.0, 4.0], [NAN, NAN]], [[7.0, 9.0], [1.0, 2.0]]])
    errors = nearest_errors(found, truth)
    assert errors[0, 0] == 5
    assert errors[0, 1].isnan()
    assert errors[1].tolist() == [1, 0]
    assert nearest_errors(found, torch.full_like(truth, NAN)).isnan().all()
    in_space = nearest_errors(torch.zeros(1, 1, 3), torch.tensor([[[2.0, 3.0, 6.0]]]))
    assert in_space.item() == 7


def test_hits_are_within_along_each_axis_and_add_up():
    found = torch.tensor(
        [
            [[9.0, 9.0], [2.0, 2.0], [0.0, 0.0]],
            [[9.0, 9.0], [NAN, NAN], [2.0, -2.1]],
            [[0.0, 1.0], [9.0, 9.0], [NAN, NAN]],
        ]
    )
    hits = hit_at(found, torch.zeros(3, 1, 2), within=2.0)
    # of the last the second and third candidates are wrong, and the first three hold the right one still
    assert hits.tolist() == [[False, True, True], [False, False, False], [True, True, True]]
    with pytest.raises(OptionError, match="within is 0"):
        hit_at(found, torch.zeros(3, 1, 2), within=0)


def test_likelihood_by_hand():
    maps = torch.tensor([[[0.5, 0.3], [0.1, 0.1]]]).expand(5, -1, -1)
    places = torch.tensor(
        [
            [[0.5, 0.5], [NAN, NAN]],
            [[0.5, 0.5], [1.5, 0.5]],
            [[0.2, 0.2], [0.9, 0.9]],  # one cell twice is that cell once
            [[-3.0, 5.0], [NAN, NAN]],  # the nearest cell
            [[NAN, NAN], [NAN, NAN]],
        ]
    )
    nll = map_nll(maps, places)
    assert nll[:4].exp().reciprocal().tolist() == pytest.approx([0.5, 0.8, 0.5, 0.1], rel=1e-5)
    assert nll[4].isnan()
    level = credible_level(maps, places)
    assert level[:4].tolist() == pytest.approx([0, 0, 0, 0.8], abs=1e-6)
    assert level[4].isnan()
    assert map_nll(torch.full((1, 8, 8), 1 / 64), torch.ones(1, 1, 2)).item() == pytest.approx(math.log(64))


def test_the_level_of_a_place_is_that_of_the_smallest_region_that_holds_it():
    logits = 3 * torch.randn(40, 6, 7)
    cells = torch.rand(40, 1, 2) * torch.tensor([7.0, 6.0])
    level = credible_level(decode.cell_probability(logits), cells)
    x, y = cells[:, 0].floor().long().unbind(-1)
    for at in (0.1, 0.5, 0.9):
        inside = decode.credible_region(logits, level=at)[torch.arange(40), y, x]
        assert torch.equal(level < at - 1e-6, inside)


def test_maps_that_know_what_they_know_are_covered_as_they_say():
    generator = torch.Generator().manual_seed(0)
    probability = torch.randn(1, 32, 32, generator=generator).flatten().softmax(0)
    drawn = probability.multinomial(5000, replacement=True, generator=generator)
    cells = torch.stack([drawn % 32 + 0.5, drawn // 32 + 0.5], -1)[:, None]
    maps = probability.view(1, 32, 32).expand(5000, -1, -1)
    level = credible_level(maps, cells)
    for at in (0.5, 0.8, 0.95):
        assert (level < at).double().mean().item() == pytest.approx(at, abs=0.02)  # whole cells: a little more
    surer = credible_level((3 * maps.log()).flatten(1).softmax(1).view_as(maps), cells)
    assert (surer < 0.8).double().mean() < 0.6


def test_misuse(unchecked):
    with pytest.raises(ShapeError, match=r"\(2, 1, 2\) and truth \(3, 1, 2\)"):
        nearest_errors(torch.zeros(2, 1, 2), torch.zeros(3, 1, 2))
    with pytest.raises(ShapeError, match="2 maps and places of 3"):
        map_nll(torch.zeros(2, 4, 4), torch.zeros(3, 1, 2))
