"""Moments of distributions over cells, and the centre of the truncated Gaussian that has a given mean.

A Gaussian normalised over the cells of a raster, p_i ~ exp(-(c_i - mu)^2 / (2 sigma^2)), is an exponential family whose
sufficient statistic is the cell: its mean m(mu) grows strictly from the first cell's centre to the last one's while mu
runs over the whole line, with dm/dmu = Var / sigma^2. So the mean tells mu exactly, at the border and beyond it too,
where the mean itself (soft-argmax) is pulled inwards because half of the Gaussian is cut off.

Means are held as distances to the first and to the last cell. One follows from the other, but only the shorter one says
in floating point how little lies away from the border, which is all that tells the places beyond it apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.ops.gaussian import axis_exponent

ITERATIONS = 5
"""Newton steps, each kept inside a bracket: float32's own precision for sigma of at least 0.7 cells (measured on 2 to
224 cells, centres to 2 cells outside). Narrower Gaussians make m(mu) a staircase; they need about 12."""


def reach(sigma: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """How far outside of the raster, in cells, centres are told apart; farther ones are moved to here.

    Sigma and result in cells. At 2 + 4 sigma the Gaussian's remains on the raster no longer depend on its centre to
    any useful precision, and a map whose mass is all in one outer cell would lie at infinity.
    """
    return 2 + 4 * sigma


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of distributions over cells, x before y.

    Args:
        first: (*batch, n, 2) mean distance to the first cell.
        last: to the last one. In cells, at least 0.
        covariance: (*batch, n, 2, 2) in cells squared.
    """

    first: Float[Tensor, "*b n 2"]
    last: Float[Tensor, "*b n 2"]
    covariance: Float[Tensor, "*b n 2 2"]

    @property
    def mean(self) -> Float[Tensor, "*b n 2"]:
        """(x, y) in cells, edge-origin."""
        return self.first + 0.5


def map_moments(probability: Float[Tensor, "*b n h w"]) -> Moments:
    """Moments of maps that each sum to 1: one pass for every marginal, one for the cross moment.

    Args:
        probability: (*batch, n, h, w).

    Example:
        >>> map_moments(torch.full((1, 2, 4), 1 / 8)).mean.tolist()
        [[2.0, 1.0]]
    """
    return moments_of(*marginals(probability))


def marginals(
    probability: Float[Tensor, "*b n h w"],
) -> tuple[Float[Tensor, "*b n w"], Float[Tensor, "*b n h"], Float[Tensor, "*b n h"]]:
    """All that moments need of maps that each sum to 1: sums of columns, sums of rows, and every row's sum times its
    distance from the middle column (one vector for all maps is half the time of one for each)."""
    w = probability.shape[-1]
    middle = torch.arange(w, dtype=probability.dtype, device=probability.device) - (w - 1) / 2
    return probability.sum(-2), probability.sum(-1), probability @ middle


def moments_of(
    columns: Float[Tensor, "*b n w"], rows: Float[Tensor, "*b n h"], tilt: Float[Tensor, "*b n h"]
) -> Moments:
    """Moments of maps from their :func:`marginals`."""
    first_x, last_x, x = _axis(columns)
    first_y, last_y, y = _axis(rows)
    from_mean = tilt - (first_x - (columns.shape[-1] - 1) / 2)[..., None] * rows
    cross = (from_mean * y).sum(-1)
    var_x, var_y = (columns * x.square()).sum(-1), (rows * y.square()).sum(-1)
    covariance = torch.stack([torch.stack([var_x, cross], -1), torch.stack([cross, var_y], -1)], -2)
    return Moments(torch.stack([first_x, first_y], -1), torch.stack([last_x, last_y], -1), covariance)


def _axis(marginal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    cells = torch.arange(marginal.shape[-1], dtype=marginal.dtype, device=marginal.device)
    first, last = marginal @ cells, marginal @ cells.flip(0)
    return first, last, cells - first[..., None]


def truncated_gaussian(
    mu: Float[Tensor, "*b"], sigma: Float[Tensor, "*b"], length: int
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Mean distance to the first cell and variance of Gaussians normalised over the cells of one axis.

    Args:
        mu: centre in cells, edge-origin.
        sigma: in cells.
        length: number of cells.
    """
    p = axis_exponent(mu, sigma, length).softmax(-1)
    cells = torch.arange(length, dtype=mu.dtype, device=mu.device)
    first = p @ cells
    return first, (p * (cells - first[..., None]).square()).sum(-1)


def inverse_mean(
    first: Float[Tensor, "*b"],
    last: Float[Tensor, "*b"],
    sigma: Float[Tensor, "*b"],
    length: int,
    *,
    iterations: int = ITERATIONS,
) -> Float[Tensor, "*b"]:
    """Centres of the truncated Gaussians that have these means: mu with m(mu) = mean.

    Differentiable in ``first`` (the gradient is sigma^2 / Var, from the implicit function theorem) as often as asked;
    not in sigma. At the :func:`reach` the gradient is 0.

    Args:
        first: mean distance to the first cell, from 0 to length - 1.
        last: to the last one, length - 1 - first.
        sigma: in cells.
        length: number of cells; with a single one every centre has the same mean, and 1/2 is returned.
        iterations: Newton steps.

    Returns:
        (*batch) centres in cells, edge-origin, from -reach to length + reach; NaN where the mean is.

    Example:
        >>> first, _ = truncated_gaussian(torch.tensor([-1.5]), torch.tensor([2.0]), 64)
        >>> round(inverse_mean(first, 63 - first, torch.tensor([2.0]), 64).item(), 3)
        -1.5
    """
    if length == 1:
        return first + 0.5
    return _InverseMean.apply(first, last.detach(), sigma.detach(), length, iterations)


class _InverseMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, last: Tensor, sigma: Tensor, length: int, iterations: int) -> Tensor:
        mu = _solve_where_needed(first, last, sigma, length, iterations)
        ctx.save_for_backward(mu, sigma)
        ctx.length = length
        return mu

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        mu, sigma = ctx.saved_tensors  # mu is an output, so this can be differentiated again
        _, variance = truncated_gaussian(mu, sigma, ctx.length)
        inside = (mu > -reach(sigma)) & (mu < ctx.length + reach(sigma))
        slope = sigma.square() / torch.where(inside, variance, 1.0).clamp_min(torch.finfo(mu.dtype).tiny ** 0.5)
        return torch.where(inside, grads[0] * slope, 0.0), None, None, None, None


def _solve_where_needed(first: Tensor, last: Tensor, sigma: Tensor, length: int, iterations: int) -> Tensor:
    """The mean itself where the border cuts nothing off, which is nearly everywhere; Newton's method for the others."""
    cut = _is_cut(torch.minimum(first, last), sigma, length)
    if cut is None:
        return _solve(first, last, sigma, length, iterations)
    mu = first + 0.5
    mu[cut] = _solve(first[cut], last[cut], sigma[cut], length, iterations)
    return mu


def clean_variance(mu: Float[Tensor, "*b"], sigma: Float[Tensor, "*b"], length: int) -> Float[Tensor, "*b"]:
    """Variance of Gaussians normalised over the cells of one axis: sigma^2 where the border cuts nothing off."""
    cut = _is_cut(torch.minimum(mu, length - mu) - 0.5, sigma, length)
    if cut is None:
        return truncated_gaussian(mu, sigma, length)[1]
    variance = sigma.square()
    variance[cut] = truncated_gaussian(mu[cut], sigma[cut], length)[1]
    return variance


def _is_cut(distance: Tensor, sigma: Tensor, length: int) -> Tensor | None:
    """Whether border or raster show in the moments of Gaussians so far from the nearer outer cell's centre.

    The tail beyond k sigmas moves the mean by less than sigma exp(-k^2 / 2), and the sum over all integers differs from
    the integral by less than 4 pi sigma^2 exp(-2 pi^2 sigma^2) (the first term of its Fourier series): here both are
    below the rounding of the raster's last coordinate. None where choosing, which looks at values, is not possible.
    """
    if torch.compiler.is_compiling() or distance.device.type != "cpu":
        return None
    digits = -math.log(torch.finfo(distance.dtype).eps * length) + 1
    return ~((distance > math.sqrt(2 * digits) * sigma) & (sigma.square() > (digits + 3) / (2 * math.pi**2)))


def _solve(first: Tensor, last: Tensor, sigma: Tensor, length: int, iterations: int) -> Tensor:
    """Newton's method on ln m, which is nearly linear beyond the border, where m itself decays exponentially."""
    mirrored = last < first  # work from the nearer end
    target = torch.where(mirrored, last, first)
    log_target = target.clamp_min(torch.finfo(target.dtype).tiny).log()
    low = -reach(sigma)
    high = torch.full_like(low, length / 2)
    # start: a Gaussian cut off by a half-line, u = k + phi(k) / Phi(k) inverted roughly; or, very far out, two cells
    # only
    u = (target + 0.5) / sigma
    start = sigma * (u - torch.exp(-0.709 * u.square()) / u)
    mu = torch.minimum(start, torch.maximum(1 + sigma.square() * log_target, start - 2 * sigma)).clamp(low, high)
    cells = torch.arange(length, dtype=mu.dtype, device=mu.device)
    powers = torch.stack([cells, cells.square()], -1)
    tiny = torch.finfo(mu.dtype).tiny
    for _ in range(iterations):
        # the variance only steers the steps, so it may lose digits to cancellation
        mean, square = (axis_exponent(mu, sigma, length).softmax(-1) @ powers).unbind(-1)
        mean, variance = mean.clamp_min(tiny), (square - mean.square()).clamp_min(tiny)
        above = mean > target
        low, high = torch.where(above, low, mu), torch.where(above, mu, high)
        step = mu + (log_target - mean.log()) * mean * sigma.square() / variance
        # out of the bracket (or not a number, where the variance vanished): halve it
        mu = torch.where((step >= low) & (step <= high), step, (low + high) / 2)
    mu = torch.where(torch.isnan(target), target, mu)
    return torch.where(mirrored, length - mu, mu)
