"""Separable Gaussians over the cells of a raster: two short vectors instead of a map.

A Gaussian over cells is ``g = gy gx^T``, so h + w exponentials replace h w of them, and losses and decoders can work on
the vectors alone. Everything is in cells, edge-origin: the centre of cell i is i + 1/2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Size

Sigma = float | Tensor
"""Standard deviation in cells: a number, one per point (*batch, n), or (sigma_x, sigma_y) per point (*batch, n, 2)."""


def sigma_per_axis(sigma_cells: Sigma, points: Float[Tensor, "*b n 2"]) -> Float[Tensor, "*b n 2"]:
    """Sigma along x and y for every point.

    Raises:
        OptionError: a sigma is not a finite positive number.
        ShapeError: its shape goes with none of the three forms.
    """
    if isinstance(sigma_cells, int | float):  # the usual case, and nothing on the device needs to be looked at
        if not 0 < sigma_cells < math.inf:
            raise OptionError(f"sigma_cells is {sigma_cells:g}; expected finite numbers above 0, in cells of the map")
        return torch.full((), sigma_cells, dtype=points.dtype, device=points.device).expand(points.shape)
    sigma = torch.as_tensor(sigma_cells, dtype=points.dtype, device=points.device)
    # looking at values would break a compiled graph in two
    if not torch.compiler.is_compiling() and not bool((torch.isfinite(sigma) & (sigma > 0)).all()):
        raise OptionError(f"sigma_cells is {_shown(sigma)}; expected finite numbers above 0, in cells of the map")
    if sigma.ndim == 0:
        return sigma.expand(points.shape)
    if sigma.shape == points.shape:
        return sigma
    if sigma.shape == points.shape[:-1]:
        return sigma[..., None].expand(points.shape)
    raise ShapeError(
        f"sigma_cells has shape {tuple(sigma.shape)}; expected one number, {tuple(points.shape[:-1])} (one per point) or "
        f"{tuple(points.shape)} (x and y per point)"
    )


def _shown(sigma: Tensor) -> str:
    return f"{float(sigma):g}" if sigma.ndim == 0 else f"a tensor from {float(sigma.min()):g} to {float(sigma.max()):g}"


def axis_exponent(centre: Float[Tensor, "*b"], sigma: Float[Tensor, "*b"], length: int) -> Float[Tensor, "*b {length}"]:
    """-(i + 1/2 - centre)^2 / (2 sigma^2) of the cells along one axis."""
    cells = torch.arange(0.5, length, dtype=centre.dtype, device=centre.device)
    return -0.5 * ((cells - centre[..., None]) / sigma[..., None]).square()


def peak_vectors(
    points: Float[Tensor, "*b n 2"], sigma: Float[Tensor, "*b n 2"], size: Size
) -> tuple[Float[Tensor, "*b n w"], Float[Tensor, "*b n h"]]:
    """(gx, gy) whose outer product gy gx^T is the Gaussian of peak 1.

    Args:
        points: (x, y) in cells.
        sigma: along x and y.
        size: (h, w).
    """
    return _per_axis(_peak, points, sigma, size)


def probability_vectors(
    points: Float[Tensor, "*b n 2"], sigma: Float[Tensor, "*b n 2"], size: Size
) -> tuple[Float[Tensor, "*b n w"], Float[Tensor, "*b n h"]]:
    """(px, py), each summing to 1, whose outer product is the Gaussian normalised over the cells.

    As a softmax of the exponents, so that a point far outside of the raster gives the cells next to it, where the
    exponentials themselves would all be 0 and a loss would silently vanish.
    """
    return _per_axis(_probability, points, sigma, size)


def _per_axis(
    vector: Callable[[Tensor, Tensor, int], Tensor], points: Tensor, sigma: Tensor, size: Size
) -> tuple[Tensor, Tensor]:
    h, w = size
    return vector(points[..., 0], sigma[..., 0], w), vector(points[..., 1], sigma[..., 1], h)


def _peak(centre: Tensor, sigma: Tensor, length: int) -> Tensor:
    exponent = axis_exponent(centre, sigma, length)
    return exponent.clamp(min=_floor(exponent)).exp()


def _probability(centre: Tensor, sigma: Tensor, length: int) -> Tensor:
    exponent = axis_exponent(centre, sigma, length)
    weight = (exponent - exponent.detach().amax(-1, keepdim=True)).clamp(min=_floor(exponent)).exp()
    return weight / weight.sum(-1, keepdim=True)


def _floor(exponent: Tensor) -> float:
    """The least exponent, so that no product of two entries falls below the normal numbers.

    Arithmetic beyond them takes up to twenty times as long: at 64 x 64 cells and a sigma of 2 most of the time went
    there. What the floor adds, 2e-17 in float32, is far below the rounding of the peak.
    """
    # log of the length, because a probability is divided by a sum of up to that; 1 for rounding
    return math.log(torch.finfo(exponent.dtype).tiny) / 2 + math.log(exponent.shape[-1]) + 1


def outer(gx: Float[Tensor, "*b w"], gy: Float[Tensor, "*b h"]) -> Float[Tensor, "*b h w"]:
    """gy gx^T: the map of two vectors."""
    return gy[..., :, None] * gx[..., None, :]
