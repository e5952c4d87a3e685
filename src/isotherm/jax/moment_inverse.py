"""Soft-argmax without its bias, for maps that are JAX arrays."""

from __future__ import annotations

from jaxtyping import Float

from isotherm.frame import Frame
from isotherm.heatmap import Kind
from isotherm.jax.gaussian import Sigma, axis_exponent, sigma_per_axis
from isotherm.jax.module import Array, jnp, matmul, stopped
from isotherm.jax.moments import inverse_mean, map_moments, truncated_gaussian
from isotherm.jax.reading import read_maps
from isotherm.ops.decoded import Decoded
from isotherm.ops.moments import ITERATIONS


def moment_inverse(
    maps: Float[Array, "*b n h w"], frame: Frame | None = None, *, sigma_cells: Sigma, kind: Kind | None = None
) -> Decoded:
    """Decode maps that were trained by cross-entropy against Gaussians, as :func:`isotherm.decode.moment_inverse`.

    Differentiable through the implicit function theorem, but not in sigma.

    Raises:
        KindError: peak or relevance maps.
        OptionError: sigma is not positive.
        ShapeError: the maps, the frame or sigma.
    """
    read = read_maps(maps, frame, kinds=("logits", "probability"), kind=kind)
    probability, (h, w) = read.probability(), read.size
    moments = map_moments(probability)
    sigma = stopped(sigma_per_axis(sigma_cells, moments.first))
    # a narrow Gaussian's mean is a staircase of its centre; an array's values are not looked at
    iterations = ITERATIONS if isinstance(sigma_cells, int | float) and sigma_cells >= 0.7 else 12
    axes = [(moments.first[..., i], moments.last[..., i], sigma[..., i], n) for i, n in enumerate((w, h))]
    xy = jnp.stack([inverse_mean(first, last, s, n, iterations=iterations) for first, last, s, n in axes], axis=-1)
    at = stopped(xy)
    clean = jnp.stack([truncated_gaussian(at[..., i], sigma[..., i], n)[1] for i, n in enumerate((w, h))], axis=-1)
    # where a clean map has no variance left (far outside, or a single cell) the map's own says nothing: no more than
    # sigma's
    widen = sigma / jnp.sqrt(jnp.maximum(clean, jnp.finfo(clean.dtype).eps))
    covariance = moments.covariance * widen[..., :, None] * widen[..., None, :]
    return read.decoded(xy, covariance, _score(probability, at, sigma))


def _score(probability: Array, at: Array, sigma: Array) -> Array:
    """gy^T P gx from that of a flat map (0) to that of the clean map (1); both are products of two short sums."""
    h, w = probability.shape[-2:]
    (gx, clean_x), (gy, clean_y) = (_weights(at[..., i], sigma[..., i], n) for i, n in enumerate((w, h)))
    here = jnp.sum(matmul(gy[..., None, :], probability)[..., 0, :] * gx, axis=-1)
    clean = clean_x * clean_y
    if h * w == 1:  # a single cell is flat and clean at once
        return jnp.clip(here / clean, 0, 1)
    flat = jnp.mean(gx, axis=-1) * jnp.mean(gy, axis=-1)
    return jnp.clip((here - flat) / jnp.maximum(clean - flat, 1e-3), 0, 1)


def _weights(mu: Array, sigma: Array, length: int) -> tuple[Array, Array]:
    """A Gaussian of largest value 1 over the cells, and its mean under the clean map."""
    exponent = axis_exponent(mu, sigma, length)
    g = jnp.exp(jnp.maximum(exponent - jnp.max(exponent, axis=-1, keepdims=True), -40))
    return g, jnp.sum(g**2, axis=-1) / jnp.sum(g, axis=-1)
