"""Gaussians over the cells of a raster as JAX arrays: targets, and the two vectors that each one consists of."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.jax.module import Array, expect_word, is_traced, jnp, stopped
from isotherm.jax.places import place
from isotherm.ops.place import OffFrame

Sigma = float | Array
"""Standard deviation in cells: a number, one per point (*batch, n), or (sigma_x, sigma_y) per point (*batch, n, 2)."""


def gaussian(
    points: Float[Array, "*b n 2"],
    frame: Frame | Size,
    *,
    sigma_cells: Sigma,
    kind: Literal["peak", "probability"] = "peak",
    state: Int[Array, "*b n"] | None = None,
    off_frame: OffFrame = "tail",
) -> Float[Array, "*b n h w"]:
    """Gaussian maps of points, (*batch, n, h, w), as :func:`isotherm.targets.gaussian`; differentiable in the points.

    Raises:
        OptionError: another kind or policy, a sigma that is not a finite positive number, 'background' with
            probabilities.
        ShapeError: parts that do not fit one another.
    """
    expect_word(kind, ("peak", "probability"), "kind")
    if kind == "probability" and off_frame == "background":
        raise OptionError("a probability map sums to 1, so it cannot say that there is nothing; use kind='peak'")
    at = place(points, frame, state=state, off_frame=off_frame)
    size = frame.size if isinstance(frame, Frame) else (int(frame[0]), int(frame[1]))
    vectors = peak_vectors if kind == "peak" else probability_vectors
    gx, gy = vectors(at.cells, sigma_per_axis(sigma_cells, at.cells), size)
    return gy[..., :, None] * (gx * at.shown[..., None])[..., None, :]


def sigma_per_axis(sigma_cells: Sigma, points: Float[Array, "*b n 2"]) -> Float[Array, "*b n 2"]:
    """Sigma along x and y for every point; traced values are not looked at."""
    if not is_traced(sigma_cells) and not np.all(np.isfinite(np.asarray(sigma_cells)) & (np.asarray(sigma_cells) > 0)):
        raise OptionError(f"sigma_cells is {sigma_cells}; expected finite numbers above 0, in cells of the map")
    sigma = jnp.asarray(sigma_cells, dtype=points.dtype)
    if sigma.ndim == 0 or sigma.shape == points.shape:
        return jnp.broadcast_to(sigma, points.shape)
    if sigma.shape == points.shape[:-1]:
        return jnp.broadcast_to(sigma[..., None], points.shape)
    raise ShapeError(
        f"sigma_cells has shape {tuple(sigma.shape)}; expected one number, {tuple(points.shape[:-1])} (one per point) or "
        f"{tuple(points.shape)} (x and y per point)"
    )


def axis_exponent(centre: Float[Array, "*b"], sigma: Float[Array, "*b"], length: int) -> Float[Array, "*b {length}"]:
    """-(i + 1/2 - centre)^2 / (2 sigma^2) of the cells along one axis."""
    cells = jnp.arange(length, dtype=centre.dtype) + 0.5
    return -0.5 * ((cells - centre[..., None]) / sigma[..., None]) ** 2


def peak_vectors(
    points: Float[Array, "*b n 2"], sigma: Float[Array, "*b n 2"], size: Size
) -> tuple[Float[Array, "*b n w"], Float[Array, "*b n h"]]:
    """(gx, gy) whose outer product gy gx^T is the Gaussian of peak 1; everything in cells."""
    h, w = size
    return _peak(points[..., 0], sigma[..., 0], w), _peak(points[..., 1], sigma[..., 1], h)


def probability_vectors(
    points: Float[Array, "*b n 2"], sigma: Float[Array, "*b n 2"], size: Size
) -> tuple[Float[Array, "*b n w"], Float[Array, "*b n h"]]:
    """(px, py), each summing to 1. As a softmax: far outside of the raster the exponentials themselves would all be
    0.
    """
    h, w = size
    return _probability(points[..., 0], sigma[..., 0], w), _probability(points[..., 1], sigma[..., 1], h)


def _peak(centre: Array, sigma: Array, length: int) -> Array:
    exponent = axis_exponent(centre, sigma, length)
    return jnp.exp(jnp.maximum(exponent, _floor(exponent)))


def _probability(centre: Array, sigma: Array, length: int) -> Array:
    exponent = axis_exponent(centre, sigma, length)
    relative = exponent - stopped(jnp.max(exponent, axis=-1, keepdims=True))
    weight = jnp.exp(jnp.maximum(relative, _floor(exponent)))
    return weight / jnp.sum(weight, axis=-1, keepdims=True)


def _floor(exponent: Array) -> float:
    """The least exponent, as in :mod:`isotherm.ops.gaussian`, so that the maps are those of the tensors in the far
    cells too.
    """
    return math.log(float(jnp.finfo(exponent.dtype).tiny)) / 2 + math.log(exponent.shape[-1]) + 1
