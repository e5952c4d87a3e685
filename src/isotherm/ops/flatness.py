"""How far the largest value of a map stands above the others: nothing where the map is flat, whatever its value is."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

FLAT = 0.01
"""A value that stands above the smallest one of its map by less than this share of itself is no peak."""


def height(values: Float[Tensor, "*b h w"], top: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """The largest value above the smallest one of the first and the last row, and at most itself.

    Where cells there are 0 or below, as they are beside a peak, this is the largest value; of a flat map it is 0, and
    of one that is flat but for noise no more than the noise. All rows would take a fifth of the time of
    :func:`isotherm.decode.argmax`. A single cell has nothing beside it and stays as it is.

    Args:
        values: (*b, h, w) maps.
        top: (*b) their largest values.

    Example:
        >>> maps = torch.tensor([[[0.0, 0.9]], [[0.9, 0.9]], [[-1.0, 0.9]]])
        >>> height(maps, maps.amax((-2, -1)))
        tensor([0.9000, 0.0000, 0.9000])
    """
    h, w = values.shape[-2:]
    if h * w == 1:
        return top
    first, last = (values.detach()[..., row, :].amin(-1) for row in (0, h - 1))
    return torch.minimum(top, top - torch.minimum(first, last))


def stands_out(values: Float[Tensor, "*b h w"]) -> Bool[Tensor, "*b h w"]:
    """Where a map stands above its smallest value by more than :data:`FLAT` of itself; a single cell always does.

    Example:
        >>> stands_out(torch.tensor([[0.5, 1.0], [0.9999, 1.0]])[:, None])[:, 0].tolist()
        [[False, True], [False, False]]
    """
    if values.shape[-2] * values.shape[-1] == 1:
        return torch.ones_like(values, dtype=torch.bool)
    return values - values.amin((-2, -1), keepdim=True) > FLAT * values.abs()
