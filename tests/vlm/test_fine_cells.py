"""Cells finer than vision tokens: how many there are, blurring by hand, and what of them lies on each token."""

from __future__ import annotations

import pytest
import torch

from isotherm.frame import Frame
from isotherm.vlm.fine_cells import BLUR, MOST, blurred, fine_cells, on_tokens
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from isotherm.vlm.view import PromptInputs


def tokens(size, *grids: Frame) -> PictureTokens:
    placed, first = [], 0
    for frame in grids:
        count = frame.size[0] * frame.size[1]
        placed.append(TokenGrid(frame, first + torch.arange(count).view(frame.size)))
        first += count
    return PictureTokens(size, tuple(placed), first)


def cells_of(*pictures: PictureTokens) -> tuple[PictureTokens, ...]:
    nothing = torch.zeros(0, dtype=torch.long)
    return fine_cells(PromptInputs({}, nothing, "?", (), pictures, nothing))


@pytest.mark.parametrize(
    ("size", "grid", "cells"),
    [
        ((48, 48), (6, 6), (48, 48)),
        ((768, 1024), (24, 32), (192, 256)),
        ((64, 2000), (2, 62), (16, 256)),  # at most so many along a side
        ((6, 6), (3, 3), (6, 6)),  # none is smaller than a pixel
    ],
)
def test_a_token_is_eight_cells_wide(size, grid, cells):
    (place,) = cells_of(tokens(size, Frame.resize(size, grid)))
    assert place.grids[0].frame.size == cells
    assert place.count == cells[0] * cells[1] <= MOST**2
    assert bool(place.seen().all())


def test_what_is_not_seen_has_no_cells_and_tiles_decide_how_fine_they_are():
    middle = Frame.identity((100, 200)).cropped((50, 0, 150, 100))
    (place,) = cells_of(tokens((100, 200), middle.resized((10, 10))))
    seen = place.seen()
    assert int(seen.sum()) == 100 * 100
    assert bool(seen[:, 50:150].all())
    whole, tiles = Frame.resize((100, 200), (2, 2)), Frame.resize((100, 200), (4, 8))
    (place,) = cells_of(tokens((100, 200), whole, tiles))
    assert place.grids[0].frame.size == (32, 64)
    (place,) = cells_of(PictureTokens((512, 1024), (), 5))  # tokens that stand for no place
    assert place.grids[0].frame.size == (128, 256)


def test_blurring_by_hand():
    (place,) = cells_of(tokens((48, 48), Frame.resize((48, 48), (6, 6))))
    values = torch.zeros(48, 48)
    values[24, 20] = 2.0
    values[0, 47] = 1.0
    spread = blurred(values.flatten(), (place,)).view(48, 48)
    assert float(spread.sum()) == pytest.approx(3.0, rel=1e-5)
    assert float(spread[24, 20] / spread[24, 23]) == pytest.approx(2.718281828 ** (9 / 2 / BLUR**2), rel=1e-3)
    assert float(spread[0, 47]) > 2 * float(spread[24, 20]) / 2  # at a corner it stays inside


def test_cells_lie_on_the_tokens_of_their_own_picture():
    frame = Frame.resize((32, 64), (2, 4))
    first, second = tokens((32, 64), frame), tokens((32, 64), frame, Frame.resize((32, 64), (1, 1)))
    second = PictureTokens(second.size, second.grids, second.count + 1)  # the last one stands for no place
    places = cells_of(first, second)
    values = torch.cat([torch.zeros(places[0].count), torch.ones(places[1].count)])
    grid = values[places[0].count :].view(places[1].grids[0].frame.size)
    grid[:8, -8:] = 5.0  # the upper right token
    found = on_tokens(values, places, (first, second))
    assert found[:8].tolist() == [0.0] * 8
    assert found[8:16].tolist() == [1.0, 1.0, 1.0, 5.0, 1.0, 1.0, 1.0, 1.0]
    assert float(found[16]) == pytest.approx(1.5)
    assert float(found[17]) == 0
