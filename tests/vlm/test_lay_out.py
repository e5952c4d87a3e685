"""Tiles, crops and whole pictures become one map: nothing is lost, nothing is counted twice, and what nobody sees is empty."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.draw import Style, overlay
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.models.transformers.vlm.layouts.squares import CentreCropLayout, PanAndScanLayout
from isotherm.vlm.lay_out import lay_out, token_centres
from isotherm.vlm.tokens import PictureTokens, TokenGrid


def tiled(size=(64, 96)) -> PictureTokens:
    """Two tiles of 8-pixel tokens that overlap by a token, and the whole picture in 16-pixel tokens behind them."""
    source = Frame.identity(size)
    left, right = source.cropped((0, 0, 56, 64)).to_grid(stride=8), source.cropped((48, 0, 96, 64)).to_grid(stride=8)
    whole = source.to_grid(stride=16)
    grids, at = [], 0
    for frame in (left, right, whole):
        h, w = frame.size
        grids.append(TokenGrid(frame, at + torch.arange(h * w).view(h, w)))
        at += h * w + 1  # a token that stands for no place behind each
    return PictureTokens(size, tuple(grids), at)


def test_one_grid_is_the_map_itself():
    grid = tiled().grids[0]
    values = torch.randn(56)
    found, frame = lay_out(values, PictureTokens((64, 96), (grid,), 56), additive=True)
    assert torch.equal(found, values.view(8, 7))
    assert frame is grid.frame


def test_additive_values_keep_their_sum():
    picture = tiled()
    values = torch.rand(picture.count)
    placed = torch.cat([values[g.token].flatten() for g in picture.grids])
    found, frame = lay_out(values, picture, additive=True)
    assert frame.size == (64, 96)
    # the map is in pixels, each 1/64 of the finest cell
    assert float(found.sum()) / 64 == pytest.approx(float(placed.sum()), rel=2e-3)


def test_degrees_are_averaged_where_several_cells_see_the_same_place():
    picture = tiled()
    values = torch.zeros(picture.count)
    for value, grid in zip((1.0, 3.0, 8.0), picture.grids, strict=True):
        values[grid.token.flatten()] = value
    found, _ = lay_out(values, picture, additive=False)
    assert found[32, 20] == pytest.approx((1 + 8) / 2)
    assert found[32, 80] == pytest.approx((3 + 8) / 2)
    assert found[32, 52] == pytest.approx((1 + 3 + 8) / 3)  # in the overlap


def test_a_single_token_is_where_it_is():
    picture = tiled()
    values = torch.zeros(picture.count)
    values[picture.grids[1].token[2, 3]] = 1.0  # right tile: x 48 + 24 .. 32, y 16 .. 24
    found, _ = lay_out(values, picture, additive=True)
    y, x = divmod(int(found.argmax()), 96)
    assert 72 <= x < 80
    assert 16 <= y < 24
    centre = token_centres(picture)[int(picture.grids[1].token[2, 3])]
    assert centre.tolist() == [76.0, 20.0]
    assert bool(token_centres(picture)[56].isnan().all())  # the token behind the first tile stands for no place


def test_what_nobody_sees_is_not_drawn():
    """LLaVA-1.5 sees the middle square alone: beside it the picture stays as it is."""
    (picture,) = CentreCropLayout(side=32, stride=8).pictures({}, [(40, 100)])
    values, frame = lay_out(torch.ones(16), picture, additive=True)
    source = np.full((40, 100, 3), 90, np.uint8)
    drawn = np.asarray(
        overlay(Heatmap(values, frame, "relevance"), source, style=Style(unseen=False, lines=(), peak=False))
    )
    assert (drawn[:, :28] == 90).all()
    assert (drawn[:, 72:] == 90).all()
    assert (drawn[20, 40:60] != 90).any()


def test_gaps_between_tiles_are_empty():
    (picture,) = PanAndScanLayout(side=32, stride=8, least=20).pictures({}, [(40, 100)])
    seen, _ = lay_out(torch.ones(picture.count), picture, additive=True)
    assert bool(torch.isfinite(seen).all())
    only = PictureTokens(picture.size, picture.grids[1:3], picture.count)
    half, _ = lay_out(torch.ones(picture.count), only, additive=True)
    assert bool(half[:, -5:].isnan().all())
    assert bool(torch.isfinite(half[:, :5]).all())
