"""Tokens to a grid: raster order, prefixes that are declared, counts that do not fit."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.heads import to_grid


def test_tokens_lie_row_by_row_behind_the_prefix():
    tokens = torch.arange(2 * 8 * 3.0).view(2, 8, 3)
    features = to_grid(tokens, grid=(2, 3), prefix=2)
    assert features.shape == (2, 3, 2, 3)
    for i in range(2):
        for j in range(3):
            assert torch.equal(features[:, :, i, j], tokens[:, 2 + i * 3 + j])


def test_gradients_reach_the_patches_and_not_the_prefix():
    tokens = torch.randn(1, 5, 2, requires_grad=True)
    to_grid(tokens, grid=(2, 2), prefix=1).sum().backward()
    assert tokens.grad is not None
    assert tokens.grad[0, :, 0].tolist() == [0, 1, 1, 1, 1]


def test_counts_that_do_not_fit():
    tokens = torch.zeros(1, 201, 4)
    with pytest.raises(
        ShapeError, match="201 tokens; a grid of 14 x 14 behind a prefix of 1 needs 197: a prefix of 5 would fit"
    ):
        to_grid(tokens, grid=(14, 14), prefix=1)
    with pytest.raises(ShapeError, match="too few"):
        to_grid(tokens, grid=(16, 16))
    with pytest.raises(OptionError, match="prefix -1"):
        to_grid(tokens, grid=(14, 14), prefix=-1)
