"""From a value per vision token to one map per picture."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.frame import Frame
from isotherm.ops.resample import to_frame
from isotherm.vlm.tokens import PictureTokens

SIDE = 512
"""Longest side of a map that several tiles are merged into, in cells."""


def lay_out(
    values: Float[Tensor, " n"], picture: PictureTokens, *, additive: bool
) -> tuple[Float[Tensor, "h w"], Frame]:
    """A picture's map and its frame.

    One grid is the map itself. Several, tiles, crops and the whole picture, lie over each other in unlike sizes: they
    are merged into one map, in which an additive value is spread over its cell's pixels, so that the sum over the map,
    in cells of the finest grid, is the sum over the tokens; what is not additive is averaged where several cells see
    the same place. Where no token sees, there is NaN.

    Args:
        values: of the picture's own tokens, in their order.
        additive: see :class:`isotherm.relevance.method.Method`.
    """
    values = values.detach().to("cpu", torch.float32)
    if len(picture.grids) == 1:
        (grid,) = picture.grids
        return values[grid.token], grid.frame
    finest = min(float(grid.frame.cell_size.prod()) for grid in picture.grids)
    target = _raster(picture)
    total, views = torch.zeros(target.size), torch.zeros(target.size)
    for grid in picture.grids:
        amount = values[grid.token] * (finest / float(grid.frame.cell_size.prod()) if additive else 1.0)
        there = to_frame(torch.ones(grid.frame.size), grid.frame, target, outside="zero", mode="nearest") > 0
        total += torch.where(there, to_frame(amount, grid.frame, target, outside="zero"), 0.0)
        views += there
    merged = total if additive else total / views.clamp(min=1)
    return merged.masked_fill(views == 0, torch.nan), target


def _raster(picture: PictureTokens) -> Frame:
    h, w = picture.size
    longest = max(h, w)
    scale = min(1.0, SIDE / longest)
    return Frame.resize(picture.size, (max(1, round(h * scale)), max(1, round(w * scale))))


def token_centres(picture: PictureTokens) -> Float[Tensor, "n 2"]:
    """Where each token's cell has its centre, (x, y) in source pixels; NaN for tokens that stand for no place."""
    centres = torch.full((picture.count, 2), torch.nan, dtype=torch.float64)
    for grid in picture.grids:
        h, w = grid.frame.size
        ys, xs = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        centres[grid.token.flatten()] = grid.frame.points_to_source(torch.stack([xs, ys], -1).view(-1, 2).double())
    return centres
