"""Moments of distributions over cells as arrays, and the centre of the truncated Gaussian that has a given mean.

The mathematics is that of :mod:`isotherm.ops.moments`, and so is the reason to hold the mean twice, as distances to the
first and to the last cell: only the shorter one has the digits that tell places beyond the border apart.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float

from isotherm.arrays.gaussian import axis_exponent
from isotherm.arrays.jax_inverse import differentiable
from isotherm.arrays.namespace import Array, Namespace, family, matmul, softmax


class Moments(NamedTuple):
    """Of maps, x before y.

    Args:
        first: (*batch, n, 2) mean distance to the first cell. last: to the last one. In cells.
        covariance: (*batch, n, 2, 2) in cells squared.
    """

    first: Float[Array, "*b n 2"]
    last: Float[Array, "*b n 2"]
    covariance: Float[Array, "*b n 2 2"]


def map_moments(xp: Namespace, probability: Float[Array, "*b n h w"]) -> Moments:
    """Moments of maps that each sum to 1."""
    columns, rows = xp.sum(probability, axis=-2), xp.sum(probability, axis=-1)
    first_x, last_x, x = _axis(xp, columns)
    first_y, last_y, y = _axis(xp, rows)
    # around the means, so that nothing cancels
    cross = xp.sum(matmul(probability, x[..., None])[..., 0] * y, axis=-1)
    var_x, var_y = xp.sum(columns * x**2, axis=-1), xp.sum(rows * y**2, axis=-1)
    covariance = xp.stack([xp.stack([var_x, cross], axis=-1), xp.stack([cross, var_y], axis=-1)], axis=-2)
    return Moments(xp.stack([first_x, first_y], axis=-1), xp.stack([last_x, last_y], axis=-1), covariance)


def _axis(xp: Namespace, marginal: Array) -> tuple[Array, Array, Array]:
    cells = xp.arange(marginal.shape[-1], dtype=marginal.dtype)
    first, last = xp.sum(marginal * cells, axis=-1), xp.sum(marginal * cells[::-1], axis=-1)
    return first, last, cells - first[..., None]


def reach(sigma: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """How far outside of the raster, in cells, centres are told apart; farther ones are moved to here."""
    return 2 + 4 * sigma


def truncated_gaussian(
    xp: Namespace, mu: Float[Array, "*b"], sigma: Float[Array, "*b"], length: int
) -> tuple[Float[Array, "*b"], Float[Array, "*b"]]:
    """Mean distance to the first cell and variance of Gaussians normalised over the cells of one axis."""
    p = softmax(xp, axis_exponent(xp, mu, sigma, length))
    cells = xp.arange(length, dtype=mu.dtype)
    first = xp.sum(p * cells, axis=-1)
    return first, xp.sum(p * (cells - first[..., None]) ** 2, axis=-1)


def inverse_mean(
    xp: Namespace,
    first: Float[Array, "*b"],
    last: Float[Array, "*b"],
    sigma: Float[Array, "*b"],
    length: int,
    *,
    iterations: int,
) -> Float[Array, "*b"]:
    """Centres of the truncated Gaussians that have these means.

    Differentiable in ``first`` under JAX, as often as asked, by the implicit function theorem: sigma^2 / Var, and 0 at the
    :func:`reach`. Newton's steps themselves cannot be differentiated exactly: their bracket stops some of them.

    Args:
        first: mean distance to the first cell. last: to the last one. sigma: in cells. length: number of cells.
        iterations: Newton steps.
    """
    if length == 1:
        return first + 0.5
    if family(first) == "jax":
        return differentiable(_solve, _slope)(first, last, sigma, length, iterations)
    return _solve(xp, first, last, sigma, length, iterations)


def _slope(xp: Namespace, mu: Array, sigma: Array, length: int) -> Array:
    """dmu / dmean."""
    inside = (mu > -reach(sigma)) & (mu < length + reach(sigma))
    _, variance = truncated_gaussian(xp, xp.where(inside, mu, xp.zeros_like(mu)), sigma, length)
    slope = sigma**2 / xp.maximum(variance, xp.asarray(xp.finfo(mu.dtype).tiny ** 0.5, dtype=mu.dtype))
    return xp.where(inside, slope, xp.zeros_like(slope))


def _solve(xp: Namespace, first: Array, last: Array, sigma: Array, length: int, iterations: int) -> Array:
    """Newton's method on ln m, which is nearly linear beyond the border, where m itself decays exponentially."""
    tiny = xp.asarray(xp.finfo(first.dtype).tiny, dtype=first.dtype)
    mirrored = last < first  # work from the nearer end
    target = xp.where(mirrored, last, first)
    log_target = xp.log(xp.maximum(target, tiny))
    low = -reach(sigma)
    high = xp.full_like(low, length / 2)
    # start: a Gaussian cut off by a half-line, u = k + phi(k) / Phi(k) inverted roughly; or, very far out, two cells only
    u = (target + 0.5) / sigma
    start = sigma * (u - xp.exp(-0.709 * u**2) / u)
    mu = xp.clip(xp.minimum(start, xp.maximum(1 + sigma**2 * log_target, start - 2 * sigma)), low, high)
    for _ in range(iterations):
        mean, variance = truncated_gaussian(xp, mu, sigma, length)
        mean, variance = xp.maximum(mean, tiny), xp.maximum(variance, tiny)
        above = mean > target
        low, high = xp.where(above, low, mu), xp.where(above, mu, high)
        step = mu + (log_target - xp.log(mean)) * mean * sigma**2 / variance
        # out of the bracket (or not a number, where the variance vanished): halve it
        mu = xp.where((step >= low) & (step <= high), step, (low + high) / 2)
    mu = xp.where(xp.isnan(target), target, mu)
    return xp.where(mirrored, length - mu, mu)
