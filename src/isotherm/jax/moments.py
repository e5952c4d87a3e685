"""Moments of distributions over cells as JAX arrays, and the centre of the truncated Gaussian that has a given mean.

The mathematics is that of :mod:`isotherm.ops.moments`, and so is the reason to hold the mean twice, as distances to the
first and to the last cell: only the shorter one has the digits that tell places beyond the border apart.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float

from isotherm.jax.gaussian import axis_exponent
from isotherm.jax.implicit import differentiable
from isotherm.jax.module import Array, jnp, matmul, softmax


class Moments(NamedTuple):
    """Of maps, x before y.

    Args:
        first: (*batch, n, 2) mean distance to the first cell.
        last: to the last one. In cells.
        covariance: (*batch, n, 2, 2) in cells squared.
    """

    first: Float[Array, "*b n 2"]
    last: Float[Array, "*b n 2"]
    covariance: Float[Array, "*b n 2 2"]


def map_moments(probability: Float[Array, "*b n h w"]) -> Moments:
    """Moments of maps that each sum to 1."""
    columns, rows = jnp.sum(probability, axis=-2), jnp.sum(probability, axis=-1)
    first_x, last_x, x = _axis(columns)
    first_y, last_y, y = _axis(rows)
    # around the means, so that nothing cancels
    cross = jnp.sum(matmul(probability, x[..., None])[..., 0] * y, axis=-1)
    var_x, var_y = jnp.sum(columns * x**2, axis=-1), jnp.sum(rows * y**2, axis=-1)
    covariance = jnp.stack([jnp.stack([var_x, cross], axis=-1), jnp.stack([cross, var_y], axis=-1)], axis=-2)
    return Moments(jnp.stack([first_x, first_y], axis=-1), jnp.stack([last_x, last_y], axis=-1), covariance)


def _axis(marginal: Array) -> tuple[Array, Array, Array]:
    cells = jnp.arange(marginal.shape[-1], dtype=marginal.dtype)
    first, last = jnp.sum(marginal * cells, axis=-1), jnp.sum(marginal * cells[::-1], axis=-1)
    return first, last, cells - first[..., None]


def reach(sigma: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """How far outside of the raster, in cells, centres are told apart; farther ones are moved to here."""
    return 2 + 4 * sigma


def truncated_gaussian(
    mu: Float[Array, "*b"], sigma: Float[Array, "*b"], length: int
) -> tuple[Float[Array, "*b"], Float[Array, "*b"]]:
    """Mean distance to the first cell and variance of Gaussians normalised over the cells of one axis."""
    p = softmax(axis_exponent(mu, sigma, length))
    cells = jnp.arange(length, dtype=mu.dtype)
    first = jnp.sum(p * cells, axis=-1)
    return first, jnp.sum(p * (cells - first[..., None]) ** 2, axis=-1)


def inverse_mean(
    first: Float[Array, "*b"], last: Float[Array, "*b"], sigma: Float[Array, "*b"], length: int, *, iterations: int
) -> Float[Array, "*b"]:
    """Centres of the truncated Gaussians that have these means.

    Differentiable in ``first``, as often as asked, by the implicit function theorem: sigma^2 / Var, and 0 at the
    :func:`reach`. Newton's steps themselves cannot be differentiated exactly: their bracket stops some of them.

    Args:
        first: mean distance to the first cell.
        last: to the last one.
        sigma: in cells.
        length: number of cells.
        iterations: Newton steps.
    """
    if length == 1:
        return first + 0.5
    return differentiable(_solve, _slope)(first, last, sigma, length, iterations)


def _slope(mu: Array, sigma: Array, length: int) -> Array:
    """dmu / dmean."""
    inside = (mu > -reach(sigma)) & (mu < length + reach(sigma))
    _, variance = truncated_gaussian(jnp.where(inside, mu, jnp.zeros_like(mu)), sigma, length)
    slope = sigma**2 / jnp.maximum(variance, jnp.asarray(jnp.finfo(mu.dtype).tiny ** 0.5, dtype=mu.dtype))
    return jnp.where(inside, slope, jnp.zeros_like(slope))


def _solve(first: Array, last: Array, sigma: Array, length: int, iterations: int) -> Array:
    """Newton's method on ln m, which is nearly linear beyond the border, where m itself decays exponentially."""
    tiny = jnp.asarray(jnp.finfo(first.dtype).tiny, dtype=first.dtype)
    mirrored = last < first  # work from the nearer end
    target = jnp.where(mirrored, last, first)
    log_target = jnp.log(jnp.maximum(target, tiny))
    low = -reach(sigma)
    high = jnp.full_like(low, length / 2)
    # start: a Gaussian cut off by a half-line, u = k + phi(k) / Phi(k) inverted roughly; or, very far out, two cells
    # only
    u = (target + 0.5) / sigma
    start = sigma * (u - jnp.exp(-0.709 * u**2) / u)
    mu = jnp.clip(jnp.minimum(start, jnp.maximum(1 + sigma**2 * log_target, start - 2 * sigma)), low, high)
    for _ in range(iterations):
        mean, variance = truncated_gaussian(mu, sigma, length)
        mean, variance = jnp.maximum(mean, tiny), jnp.maximum(variance, tiny)
        above = mean > target
        low, high = jnp.where(above, low, mu), jnp.where(above, mu, high)
        step = mu + (log_target - jnp.log(mean)) * mean * sigma**2 / variance
        # out of the bracket (or not a number, where the variance vanished): halve it
        mu = jnp.where((step >= low) & (step <= high), step, (low + high) / 2)
    mu = jnp.where(jnp.isnan(target), target, mu)
    return jnp.where(mirrored, length - mu, mu)
