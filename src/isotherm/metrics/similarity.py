"""How alike two maps are: Pearson, Spearman and SSIM, each over a batch of pairs.

A map that is the same everywhere has no pattern to compare: its Pearson and Spearman are NaN, never 0 or 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import ShapeError


def pearson(a: Float[Tensor, "t h w"], b: Float[Tensor, "t h w"]) -> Float[Tensor, " t"]:
    """Correlation of the values of each pair, -1 to 1; NaN where a map is constant."""
    _check(a, b)
    return _correlation(a.flatten(1).double(), b.flatten(1).double())


def spearman(a: Float[Tensor, "t h w"], b: Float[Tensor, "t h w"]) -> Float[Tensor, " t"]:
    """Correlation of the ranks of each pair, -1 to 1, ties at their mean rank; NaN where a map is constant."""
    _check(a, b)
    return _correlation(_mean_ranks(a.flatten(1)), _mean_ranks(b.flatten(1)))


def ssim(a: Float[Tensor, "t h w"], b: Float[Tensor, "t h w"]) -> Float[Tensor, " t"]:
    """Structural similarity of each pair, both stretched to [0, 1] first, -1 to 1.

    Gaussian window of 11 pixels and sigma 1.5 (on smaller maps the largest odd one that fits), constants 0.01 and
    0.03 squared, mean over the positions where the window lies inside. A constant map is stretched to 0.

    Source: Wang et al., "Image quality assessment" (IEEE TIP 2004), eq. 13 and section III.C; used on maps by
    Adebayo et al. 2018.
    """
    _check(a, b)
    side = min(11, *(n if n % 2 else n - 1 for n in a.shape[-2:]))
    x = torch.arange(side, dtype=torch.float64, device=a.device) - side // 2
    line = torch.exp(-(x**2) / (2 * 1.5**2))
    window = (line[:, None] * line / line.sum() ** 2)[None, None]
    x, y = _stretched(a)[:, None], _stretched(b)[:, None]

    def mean(z: Tensor) -> Tensor:
        return F.conv2d(z, window)

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    values = ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return values.mean((1, 2, 3))


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ShapeError(f"maps of {tuple(a.shape)} and {tuple(b.shape)} cannot be compared; they must be of one shape")


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    # constant by its values, not by its variance: rounding leaves a hair of variance in a constant row
    flat = (a.amax(1) == a.amin(1)) | (b.amax(1) == b.amin(1))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    return (a * b).sum(1).clamp(-1, 1).masked_fill(flat, torch.nan)


def _mean_ranks(values: Tensor) -> Tensor:
    ordered = values.sort(dim=1).values
    below = torch.searchsorted(ordered, values.contiguous(), right=False)
    up_to = torch.searchsorted(ordered, values.contiguous(), right=True)
    return (below + up_to).double() / 2


def _stretched(maps: Tensor) -> Tensor:
    maps = maps.double()
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return torch.where(high > low, (maps - low) / torch.where(high > low, high - low, 1.0), 0.0)
