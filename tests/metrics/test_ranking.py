"""The order in which pixels go: by relevance, ties at random, cells as a whole, only within the region."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isotherm.errors import OptionError
from isotherm.metrics.ranking import cuts, rank_cells
from isotherm.metrics.references import centre_map, random_maps


def test_order_by_hand():
    rank, units = rank_cells(torch.tensor([[4.0, 1, 7], [0, -3, 5]]))
    assert rank.tolist() == [[2, 3, 0], [4, 5, 1]]
    assert units == 6


def test_monotone_transforms_change_nothing():
    values = torch.randn(12, 17)
    values[:4] = 0.25  # with ties
    for same in (values * 3 - 1, values.exp(), torch.sigmoid(values), values**3):
        assert torch.equal(rank_cells(values, seed=3).rank, rank_cells(same, seed=3).rank)


def test_ties_have_no_direction():
    places = torch.stack([rank_cells(torch.zeros(6, 6), seed=s).rank for s in range(400)]).double()
    assert (places.mean(0) - 17.5).abs().max() < 4.5 * 10.4 / 20  # 4.5 standard errors of the mean of 400 uniform ranks
    assert torch.equal(rank_cells(torch.zeros(6, 6), seed=1).rank, rank_cells(torch.zeros(6, 6), seed=1).rank)
    half = torch.zeros(6, 6)
    half[:, 3:] = 1
    rank = rank_cells(half, seed=5).rank
    assert rank[:, 3:].max() < rank[:, :3].min()


def test_cells_go_as_a_whole_by_their_mean():
    values = torch.zeros(5, 7)
    values[0, 0] = 100.0  # the top-left cell has the largest mean
    values[4, 6] = -1.0
    rank, units = rank_cells(values, cells=(2, 3))
    assert units == 6
    # pixel y belongs to row y * 2 // 5, pixel x to column x * 3 // 7
    assert (rank[:3, :3] == 0).all()
    assert (rank[3:, 5:] == 5).all()
    assert sorted(rank.unique().tolist()) == [0, 1, 2, 3, 4, 5]


def test_only_the_region_goes():
    region = torch.zeros(6, 8, dtype=torch.bool)
    region[1:5, 2:7] = True
    rank, units = rank_cells(torch.arange(48.0).reshape(6, 8), region=region)
    assert units == 20
    assert sorted(rank[region].tolist()) == list(range(20))
    assert (rank[~region] >= units).all()
    cells, units = rank_cells(torch.arange(48.0).reshape(6, 8), region=region, cells=(3, 4))
    assert units == 9  # rows 1 to 4 lie in three rows of cells, columns 2 to 6 in the last three columns of four
    assert (cells[~region] >= units).all()
    with pytest.raises(OptionError, match="region is empty"):
        rank_cells(torch.zeros(2, 2), region=torch.zeros(2, 2, dtype=torch.bool))


@given(st.integers(1, 500), st.integers(1, 60))
def test_cuts_are_even_and_complete(units, steps):
    if steps > units:
        with pytest.raises(OptionError, match="steps"):
            cuts(units, steps)
        return
    at = cuts(units, steps)
    assert (at[0], at[-1], len(at)) == (0, units, steps + 1)
    assert all(abs(c - units * i / steps) <= 0.5 for i, c in enumerate(at))


def test_random_maps_are_as_coarse_as_asked_and_seeded():
    maps = random_maps(3, (64, 96), grid=(4, 6), seed=2)
    assert maps.shape == (3, 64, 96)
    assert torch.equal(maps[:2], random_maps(2, (64, 96), grid=(4, 6), seed=2))
    assert not torch.equal(maps, random_maps(3, (64, 96), grid=(4, 6), seed=3))
    fine = random_maps(3, (64, 96), grid=(64, 96), seed=2)

    def roughness(m):
        return (m.diff(dim=-1).square().mean() / m.var()).item()

    assert roughness(fine) == pytest.approx(2, rel=0.1)  # independent neighbours
    assert roughness(maps) < 0.02
    with pytest.raises(OptionError, match="grid"):
        random_maps(1, (8, 8), grid=(9, 2))


def test_centre_map():
    m = centre_map((4, 6))
    assert torch.allclose(m, m.flip(0))
    assert torch.allclose(m, m.flip(1))
    assert m[1:3, 2:4].min() > m[0, 0]
    assert m[0, 0].item() == pytest.approx(-((0.75**2 + (5 / 6) ** 2) ** 0.5))
