"""Tiles of a picture become one grid where they cover it, and the token of every cell stays its own."""

from __future__ import annotations

import pytest
import torch

from isotherm.frame import Frame
from isotherm.vlm.batch import whole_grid
from isotherm.vlm.tokens import PictureTokens, TokenGrid


def grid(frame: Frame, first: int) -> TokenGrid:
    return TokenGrid(frame, first + torch.arange(frame.size[0] * frame.size[1]).view(frame.size))


def tiled(rows: int, columns: int, side: int = 4, size=(80, 120)) -> PictureTokens:
    """Idefics' way: tiles row by row, then the whole picture in one square."""
    canvas = Frame.resize(size, (rows * side, columns * side))
    frames = [*canvas.tiles((side, side)), Frame.resize(size, (side, side))]
    grids = [grid(frame, i * side**2) for i, frame in enumerate(frames)]
    return PictureTokens(size, tuple(grids), len(grids) * side**2)


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (3, 1), (1, 2)])
def test_tiles_that_cover_the_picture_are_one_grid(rows, columns):
    picture = tiled(rows, columns)
    whole = whole_grid(picture)
    assert whole.frame.allclose(Frame.resize((80, 120), (rows * 4, columns * 4)))
    for tile in picture.grids[:-1]:
        centres = tile.frame.points_to_source(torch.tensor([[0.5, 0.5], [3.5, 2.5]]))
        x, y = whole.frame.points_from_source(centres).floor().long().T
        assert whole.token[y, x].tolist() == [int(tile.token[0, 0]), int(tile.token[2, 3])]


def test_crops_that_overlap_or_leave_gaps_do_not_hide_the_whole_picture():
    size = (40, 60)
    whole = grid(Frame.resize(size, (4, 6)), 0)
    canvas = Frame.resize(size, (8, 12))
    crops = [grid(canvas.cropped((0, 0, 6, 8)), 24), grid(canvas.cropped((5, 0, 12, 8)), 72)]
    apart = [grid(canvas.cropped((0, 0, 5, 8)), 24), grid(canvas.cropped((6, 0, 12, 8)), 64)]
    for others in (crops, apart):
        assert whole_grid(PictureTokens(size, (whole, *others), 200)) is whole


def test_the_only_grid_is_it():
    only = grid(Frame.resize((8, 8), (2, 2)), 0)
    assert whole_grid(PictureTokens((8, 8), (only,), 4)) is only
