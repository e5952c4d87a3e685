"""Losses of maps against the Gaussians of points as NumPy or JAX arrays; gradients by jax.grad."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float, Int

from isotherm.arrays.gaussian import (
    Sigma,
    known_places,
    peak_vectors,
    placed,
    probability_vectors,
    sigma_per_axis,
    with_state,
)
from isotherm.arrays.namespace import Array, Namespace, floating, logsumexp, matmul, namespace, one_of, quiet
from isotherm.arrays.places import grid_size, to_cells
from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size
from isotherm.points import State

Reduction = Literal["mean", "sum", "none"]


@quiet
def gaussian_mse(
    pred: Float[Array, "*b n h w"],
    points: Float[Array, "*b n 2"],
    frame: Frame | Size | None = None,
    *,
    sigma_cells: Sigma,
    state: Int[Array, "*b n"] | None = None,
    weight: Float[Array, "*b n"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "*r"]:
    """Mean squared error of peak maps against the Gaussians of points, as :func:`isotherm.losses.gaussian_mse`.

    Args:
        pred: (*batch, n, h, w). points: (*batch, n, 2) (x, y) in source pixels. frame: of the maps, single or batched as
            their first dimensions; None or a size (h, w): the points are in cells.
        sigma_cells: a number, (*batch, n), or (x, y) (*batch, n, 2).
        state: (*batch, n). UNLABELLED maps take no part, whatever is in them or in their points; ABSENT ones should be 0.
        weight: (*batch, n) of every map.
        reduction: 'mean' over the cells of the maps that take part, 'sum', or 'none': (*batch, n) means over cells.

    Raises:
        ShapeError: parts that do not fit one another, or arrays of two libraries. OptionError: sigma or reduction.

    Example:
        >>> import numpy as np
        >>> float(gaussian_mse(np.zeros((1, 1, 3)), np.array([[1.5, 0.5]]), sigma_cells=0.1).round(4))
        0.3333
    """
    xp = namespace(pred, points, sigma_cells, state, weight)
    pred, points = _fitting(pred, points)
    active = with_state(xp, state, points.shape[:-1]) != int(State.UNLABELLED)
    shown = known_places(xp, state, points.shape[:-1])
    size = grid_size(frame, pred.shape)
    cells = xp.where(shown[..., None], to_cells(points, frame), xp.zeros_like(points))
    gx, gy = peak_vectors(xp, cells, sigma_per_axis(xp, sigma_cells, cells), size)
    gy = xp.where(shown[..., None], gy, xp.zeros_like(gy))
    # the residual itself: the expanded square cancels in float32
    residual = xp.where(active[..., None, None], pred, xp.zeros_like(pred)) - gy[..., :, None] * gx[..., None, :]
    return _reduced(xp, xp.mean(residual**2, axis=(-2, -1)), active, weight, reduction, size)


@quiet
def gaussian_cross_entropy(
    logits: Float[Array, "*b n h w"],
    points: Float[Array, "*b n 2"],
    frame: Frame | Size | None = None,
    *,
    sigma_cells: Sigma,
    state: Int[Array, "*b n"] | None = None,
    weight: Float[Array, "*b n"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "*r"]:
    """Cross-entropy of logits against the Gaussians of points over all cells, as :func:`isotherm.losses.gaussian_cross_entropy`.

    logsumexp(P) - py^T P px, where px and py are the vectors of the target: it is never made.

    Args:
        logits: (*batch, n, h, w). The others as in :func:`gaussian_mse`; ABSENT maps take no part either, because a
            distribution must lie somewhere.
        reduction: 'mean' over the maps that take part (0 where there is none), 'sum', or 'none': (*batch, n).

    Raises:
        ShapeError: parts that do not fit one another, or arrays of two libraries. OptionError: sigma or reduction.

    Example:
        >>> import numpy as np
        >>> loss = gaussian_cross_entropy(np.zeros((1, 4, 4)), np.array([[2.0, 2.0]]), sigma_cells=1.0)
        >>> float(loss.round(4)), float(np.log(16).round(4))   # of a uniform map
        (2.7726, 2.7726)
    """
    xp = namespace(logits, points, sigma_cells, state, weight)
    logits, points = _fitting(logits, points)
    active = known_places(xp, state, points.shape[:-1])
    size = grid_size(frame, logits.shape)
    cells = xp.where(active[..., None], to_cells(points, frame), xp.zeros_like(points))
    px, py = probability_vectors(xp, cells, sigma_per_axis(xp, sigma_cells, cells), size)
    values = xp.where(active[..., None, None], logits, xp.zeros_like(logits))
    there = xp.sum(matmul(py[..., None, :], values)[..., 0, :] * px, axis=-1)
    each = logsumexp(xp, values.reshape(*values.shape[:-2], -1)) - there
    return _reduced(xp, each, active, weight, reduction, (1, 1))


def _fitting(maps: Array, points: Array) -> tuple[Array, Array]:
    """Maps and points of one precision, at least float32."""
    maps, points = floating(maps, "maps", "(*batch, n, h, w)"), placed(points)
    if maps.ndim < 3 or tuple(maps.shape[:-2]) != tuple(points.shape[:-1]):
        raise ShapeError(
            f"maps have shape {tuple(maps.shape)}, points {tuple(points.shape)}; expected (*batch, n, h, w) and (*batch, n, 2)"
        )
    return maps, points.astype(maps.dtype)


def _reduced(xp: Namespace, each: Array, active: Array, weight: Array | None, reduction: str, cells: Size) -> Array:
    """One loss per map -> what was asked for. Maps that take no part are selected away, not multiplied: they may be NaN."""
    one_of(reduction, ("mean", "sum", "none"), "reduction")
    each = xp.where(active, each, xp.zeros_like(each))
    if weight is not None:
        if weight.shape != active.shape:
            raise ShapeError(
                f"weight has shape {tuple(weight.shape)}; expected {tuple(active.shape)}, one for every map"
            )
        each = each * xp.where(active, weight.astype(each.dtype), xp.zeros_like(each))
    if reduction == "none":
        return each
    if reduction == "sum":
        return xp.sum(each) * (cells[0] * cells[1])
    return xp.sum(each) / xp.maximum(xp.sum(active.astype(each.dtype)), xp.ones((), dtype=each.dtype))
