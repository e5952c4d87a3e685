"""Gaussians over the cells of a raster as NumPy or JAX arrays: targets, and the two vectors that each one consists of."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from isotherm.arrays.namespace import Array, Namespace, floating, is_traced, namespace, one_of, quiet, softmax
from isotherm.arrays.places import to_cells
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.points import State

Sigma = float | Array
"""Standard deviation in cells: a number, one per point (*batch, n), or (sigma_x, sigma_y) per point (*batch, n, 2)."""


@quiet
def gaussian(
    points: Float[Array, "*b n 2"],
    frame: Frame | Size,
    *,
    sigma_cells: Sigma,
    kind: Literal["peak", "probability"] = "peak",
    state: Int[Array, "*b n"] | None = None,
) -> Float[Array, "*b n h w"]:
    """Gaussian target maps of points, as :func:`isotherm.targets.gaussian` makes them of tensors.

    Args:
        points: (*batch, n, 2) (x, y) in source pixels, edge-origin. frame: of the maps, single or batched as the first
            dimensions of the points; or a size (h, w), and the points are in its cells.
        sigma_cells: a number, (*batch, n), or (x, y) (*batch, n, 2).
        kind: 'peak' (1 at the point) or 'probability' (every map sums to 1; a point outside gives the cells next to it).
        state: (*batch, n) of :class:`isotherm.points.State`. UNLABELLED and ABSENT points give 0 everywhere.

    Returns:
        (*batch, n, h, w), differentiable in the points under jax.grad.

    Raises:
        OptionError: another kind, or a sigma that is not a finite positive number. ShapeError: parts that do not fit one
            another, or no NumPy or JAX array.

    Example:
        >>> gaussian(np.array([[1.5, 0.5]]), (1, 3), sigma_cells=1.0).round(4).tolist()
        [[[0.6065, 1.0, 0.6065]]]
    """
    xp = namespace(points, state, sigma_cells)
    one_of(kind, ("peak", "probability"), "kind")
    points = placed(points)
    shown = known_places(xp, state, points.shape[:-1])
    size = frame.size if isinstance(frame, Frame) else (int(frame[0]), int(frame[1]))
    # a place that is not known may be NaN: put another in before the arithmetic, so that gradients stay clean too
    cells = xp.where(shown[..., None], to_cells(points, frame), xp.zeros_like(points))
    vectors = peak_vectors if kind == "peak" else probability_vectors
    gx, gy = vectors(xp, cells, sigma_per_axis(xp, sigma_cells, cells), size)
    return xp.where(shown[..., None, None], gy[..., :, None] * gx[..., None, :], xp.zeros((), dtype=points.dtype))


def placed(points: Float[Array, "*b n 2"]) -> Float[Array, "*b n 2"]:
    """Points, at least in float32.

    Raises:
        ShapeError: they are not (*batch, n, 2) or no floating-point numbers.
    """
    namespace(points)
    if points.ndim < 2 or points.shape[-1] != 2:
        raise ShapeError(f"points have shape {tuple(points.shape)}; expected (*batch, n, 2)")
    return floating(points, "points", "(*batch, n, 2)")


def with_state(xp: Namespace, state: Array | None, shape: tuple[int, ...]) -> Array:
    """States of points, all LABELLED where none are given.

    Raises:
        ShapeError: there is not one per point.
    """
    if state is None:
        return xp.full(shape, int(State.LABELLED))
    if tuple(state.shape) != tuple(shape):
        raise ShapeError(f"state has shape {tuple(state.shape)}; expected {tuple(shape)}, one for every point")
    return state


def known_places(xp: Namespace, state: Array | None, shape: tuple[int, ...]) -> Array:
    """Whether a point has a place: neither UNLABELLED nor ABSENT."""
    state = with_state(xp, state, shape)
    return (state != int(State.UNLABELLED)) & (state != int(State.ABSENT))


def sigma_per_axis(xp: Namespace, sigma_cells: Sigma, points: Float[Array, "*b n 2"]) -> Float[Array, "*b n 2"]:
    """Sigma along x and y for every point; traced values are not looked at."""
    if not is_traced(sigma_cells) and not np.all(np.isfinite(np.asarray(sigma_cells)) & (np.asarray(sigma_cells) > 0)):
        raise OptionError(f"sigma_cells is {sigma_cells}; expected finite numbers above 0, in cells of the map")
    sigma = xp.asarray(sigma_cells, dtype=points.dtype)
    if sigma.ndim == 0 or sigma.shape == points.shape:
        return xp.broadcast_to(sigma, points.shape)
    if sigma.shape == points.shape[:-1]:
        return xp.broadcast_to(sigma[..., None], points.shape)
    raise ShapeError(
        f"sigma_cells has shape {tuple(sigma.shape)}; expected one number, {tuple(points.shape[:-1])} (one per point) or "
        f"{tuple(points.shape)} (x and y per point)"
    )


def axis_exponent(
    xp: Namespace, centre: Float[Array, "*b"], sigma: Float[Array, "*b"], length: int
) -> Float[Array, "*b {length}"]:
    """-(i + 1/2 - centre)^2 / (2 sigma^2) of the cells along one axis."""
    cells = xp.arange(length, dtype=centre.dtype) + 0.5
    return -0.5 * ((cells - centre[..., None]) / sigma[..., None]) ** 2


def peak_vectors(
    xp: Namespace, points: Float[Array, "*b n 2"], sigma: Float[Array, "*b n 2"], size: Size
) -> tuple[Float[Array, "*b n w"], Float[Array, "*b n h"]]:
    """(gx, gy) whose outer product gy gx^T is the Gaussian of peak 1; everything in cells."""
    h, w = size
    return xp.exp(axis_exponent(xp, points[..., 0], sigma[..., 0], w)), xp.exp(
        axis_exponent(xp, points[..., 1], sigma[..., 1], h)
    )


def probability_vectors(
    xp: Namespace, points: Float[Array, "*b n 2"], sigma: Float[Array, "*b n 2"], size: Size
) -> tuple[Float[Array, "*b n w"], Float[Array, "*b n h"]]:
    """(px, py), each summing to 1. As a softmax: far outside of the raster the exponentials themselves would all be 0."""
    h, w = size
    return softmax(xp, axis_exponent(xp, points[..., 0], sigma[..., 0], w)), softmax(
        xp, axis_exponent(xp, points[..., 1], sigma[..., 1], h)
    )
