"""Losses of maps against the Gaussians of points as JAX arrays; gradients by jax.grad."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from jaxtyping import Bool, Float, Int

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.jax.gaussian import Sigma, peak_vectors, probability_vectors, sigma_per_axis
from isotherm.jax.module import Array, expect_word, floating, jnp, logsumexp, matmul
from isotherm.jax.places import grid_size, place
from isotherm.ops.place import OffFrame
from isotherm.points import State

Reduction = Literal["mean", "sum", "none"]


def gaussian_mse(
    pred: Float[Array, "*b n h w"],
    points: Float[Array, "*b n 2"],
    frame: Frame | Size | None = None,
    *,
    sigma_cells: Sigma,
    state: Int[Array, "*b n"] | None = None,
    weight: Float[Array, "*b n"] | None = None,
    off_frame: OffFrame = "tail",
    reduction: Reduction = "mean",
) -> Float[Array, "*r"]:
    """Mean squared error of peak maps against the Gaussians of points, as :func:`isotherm.losses.gaussian_mse`.

    Raises:
        ShapeError: parts that do not fit one another.
        OptionError: sigma, policy or reduction.
    """
    maps, labels = _labels(pred, points, frame, sigma_cells, state, off_frame, reduction)
    h, w = maps.shape[-2:]
    gx, gy = peak_vectors(labels.cells, labels.sigma, (h, w))
    gy = gy * labels.shown[..., None]
    # the residual itself: the expanded square cancels in float32
    residual = jnp.where(labels.active[..., None, None], maps, 0.0) - gy[..., :, None] * gx[..., None, :]
    each = jnp.sum(residual**2, axis=(-2, -1)) / (1 if reduction == "sum" else h * w)
    return _reduced(each, labels.active, weight, reduction)


def gaussian_cross_entropy(
    logits: Float[Array, "*b n h w"],
    points: Float[Array, "*b n 2"],
    frame: Frame | Size | None = None,
    *,
    sigma_cells: Sigma,
    state: Int[Array, "*b n"] | None = None,
    weight: Float[Array, "*b n"] | None = None,
    off_frame: OffFrame = "tail",
    reduction: Reduction = "mean",
) -> Float[Array, "*r"]:
    """Cross-entropy of logits against the Gaussians of points, as :func:`isotherm.losses.gaussian_cross_entropy`.

    logsumexp(P) - py^T P px, where px and py are the vectors of the target: it is never made.

    Raises:
        ShapeError: parts that do not fit one another.
        OptionError: sigma, policy or reduction.
    """
    if off_frame == "background":
        raise OptionError("a distribution cannot say that there is nothing; use off_frame 'tail', 'clip' or 'drop'")
    maps, labels = _labels(logits, points, frame, sigma_cells, state, off_frame, reduction)
    h, w = maps.shape[-2:]
    px, py = probability_vectors(labels.cells, labels.sigma, (h, w))
    values = jnp.where(labels.shown[..., None, None], maps, 0.0)
    there = jnp.sum(matmul(py[..., None, :], values)[..., 0, :] * px, axis=-1)
    each = logsumexp(values.reshape(*values.shape[:-2], -1)) - there
    return _reduced(each, labels.shown, weight, reduction)


class _Labels(NamedTuple):
    """Places and sigmas in cells, (*batch, n, 2), which maps take part, and whose target is more than zeros, (*batch,
    n).
    """

    cells: Float[Array, "*b n 2"]
    sigma: Float[Array, "*b n 2"]
    active: Bool[Array, "*b n"]
    shown: Bool[Array, "*b n"]


def _labels(
    maps: Array,
    points: Array,
    frame: Frame | Size | None,
    sigma_cells: Sigma,
    state: Array | None,
    off_frame: OffFrame,
    reduction: str,
) -> tuple[Array, _Labels]:
    """Maps of at least float32, and what they shall show, in the same precision."""
    expect_word(reduction, get_args(Reduction), "reduction")
    maps = floating(maps, "maps", "(*batch, n, h, w)")
    shape = tuple(getattr(points, "shape", ()))
    if maps.ndim < 3 or tuple(maps.shape[:-2]) != shape[:-1]:
        raise ShapeError(
            f"maps have shape {tuple(maps.shape)}, points {shape}; expected (*batch, n, h, w) and (*batch, n, 2)"
        )
    size = grid_size(frame, maps.shape)
    at = place(points, size if frame is None else frame, state=state, off_frame=off_frame)
    cells = at.cells.astype(maps.dtype)
    return maps, _Labels(cells, sigma_per_axis(sigma_cells, cells), at.state != int(State.UNLABELLED), at.shown)


def _reduced(each: Array, active: Array, weight: Array | None, reduction: str) -> Array:
    """One loss per map -> what was asked for. Maps that take no part are selected away, not multiplied: they may be
    NaN.
    """
    each = jnp.where(active, each, 0.0)
    if weight is not None:
        if weight.shape != active.shape:
            raise ShapeError(
                f"weight has shape {tuple(weight.shape)}; expected {tuple(active.shape)}, one for every map"
            )
        each = each * jnp.where(active, weight.astype(each.dtype), 0.0)
    if reduction == "none":
        return each
    total = jnp.sum(each)
    return total if reduction == "sum" else total / jnp.maximum(jnp.sum(active.astype(each.dtype)), 1.0)
