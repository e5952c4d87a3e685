"""Grids are found again in the places of their tokens, measured as badly as they are."""

from __future__ import annotations

import pytest
import torch

from isotherm.models.transformers.vlm.lattice import covered, grids_of


def places(rows, columns, left, top, width, height):
    """(rows x columns, 2) of cells' centres, in reading order, and what they see."""
    ys, xs = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    centre = torch.stack([left + xs * width, top + ys * height], -1).view(-1, 2).double()
    return centre, torch.tensor([[width, height]], dtype=torch.float64).expand(len(centre), 2)


def shaken(*parts, by=0.08, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centre, width = (torch.cat(p) for p in zip(*parts, strict=True))
    noise = torch.randn(centre.shape, generator=generator, dtype=torch.float64).clamp(-2, 2)
    unsure = torch.rand(centre.shape, generator=generator, dtype=torch.float64) * 0.4 + 0.8
    return centre + by * width * noise, width * unsure


def test_one_grid_is_found_and_fitted_better_than_its_tokens_were_measured():
    centre, width = shaken(places(8, 12, 0, 0, 10, 7))
    (grid,), off = grids_of(centre, width, torch.arange(96), (56, 120))
    assert grid.token.tolist() == torch.arange(96).view(8, 12).tolist()
    assert grid.frame.to_source.flatten().tolist() == pytest.approx([10, 0, 0, 0, 7, 0], abs=0.5)
    assert 0.1 < off.max() < 0.35
    assert covered([grid], (56, 120)) == pytest.approx(1, abs=0.02)


def test_tiles_and_the_whole_picture_are_grids_of_their_own():
    left, right = places(4, 4, 0, 0, 10, 10), places(4, 4, 40, 0, 10, 10)
    centre, width = shaken(left, right, places(4, 4, 0, 0, 20, 10))
    grids, _ = grids_of(centre, width, torch.arange(48), (40, 80))
    assert [grid.token.flatten().tolist() for grid in grids] == [[*range(k * 16, k * 16 + 16)] for k in range(3)]
    assert covered(grids, (40, 80)) == pytest.approx(2, abs=0.1)


def test_numbers_that_stand_for_no_place_may_stand_between():
    """Ends of rows."""
    centre, width = shaken(places(3, 5, 0, 0, 10, 10))
    token = torch.tensor([i + i // 5 for i in range(15)])
    (grid,), _ = grids_of(centre, width, token, (30, 50))
    assert grid.token.tolist() == [[0, 1, 2, 3, 4], [6, 7, 8, 9, 10], [12, 13, 14, 15, 16]]


def test_columns_are_read_as_well():
    centre, width = shaken(places(6, 9, 0, 0, 10, 7))
    order = torch.arange(54).view(6, 9).T.flatten()
    (grid,), _ = grids_of(centre[order], width[order], torch.arange(54), (42, 90))
    assert grid.frame.size == (6, 9)
    assert grid.token.tolist() == torch.arange(54).view(9, 6).T.tolist()


@pytest.mark.parametrize(("rows", "columns"), [(1, 7), (7, 1), (1, 1)])
def test_a_single_row_or_column_is_as_wide_as_its_tokens_see(rows, columns):
    centre, width = shaken(places(rows, columns, 5, 3, 10, 7), by=0.02)
    grids, _ = grids_of(centre, width, torch.arange(rows * columns), (60, 80))
    assert [grid.frame.size for grid in grids] == [(rows, columns)]
    assert grids[0].frame.cell_size.tolist() == pytest.approx([10, 7], rel=0.45)
