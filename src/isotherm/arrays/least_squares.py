"""The Gaussian nearest to a peak map, for maps that are NumPy or JAX arrays."""

from __future__ import annotations

import math
from typing import NamedTuple

from jaxtyping import Float

from isotherm.arrays.argmax import largest
from isotherm.arrays.gaussian import Sigma, peak_vectors, sigma_per_axis
from isotherm.arrays.namespace import Array, Namespace, matmul, namespace, quiet, stopped
from isotherm.arrays.reading import Decoded, read_maps
from isotherm.frame import Frame
from isotherm.heatmap import Kind

ITERATIONS = 12
"""Damped Gauss-Newton steps; clean maps need none, maps with noise 0.05 at the border about 8."""


class _Fit(NamedTuple):
    """Centre and ln sigma per map, and what the fit says there: amplitude, J^T J and J^T r of (amplitude, x, y[, ln sigma])."""

    xy: Array
    log_sigma: Array
    amplitude: Array
    explained: Array
    normal: Array
    gradient: Array


@quiet
def least_squares(
    maps: Float[Array, "*b n h w"],
    frame: Frame | None = None,
    *,
    sigma_cells: Sigma | None = None,
    kind: Kind | None = None,
) -> Decoded:
    """Decode maps that were trained by squared error against Gaussians of peak 1: the Gaussian with the least squared error.

    Exact on clean maps at the border and beyond it. The start is a parabola through the logarithms around the largest cell,
    then damped Gauss-Newton over amplitude and centre, and sigma where it is not given. The map is met only in products
    with short vectors.

    Args:
        maps: (*batch, n, h, w) peak maps. frame: single or batched; left out, points come out in cells.
        sigma_cells: of the training targets: a number, (*batch, n), or (x, y) (*batch, n, 2); None: one sigma per map is
            fitted.
        kind: 'peak'.

    Returns:
        Places in source pixels, without gradients. ``covariance``: residual variance times the inverse of J^T J, the
        Cramer-Rao bound for white noise. ``score``: the amplitude, 1 for a clean map. ``state``: OUT_OF_FRAME beyond the
        edges, ABSENT where nothing is above 0.

    Raises:
        KindError: maps of another kind. OptionError: sigma is not positive. ShapeError: the maps, the frame or sigma.

    Example:
        >>> import numpy as np
        >>> cells = np.arange(16) + 0.5
        >>> peak = np.exp(-((cells + 0.7) ** 2)[None, None] / 8 - ((cells - 9.2) ** 2)[None, :, None] / 8)   # x = -0.7
        >>> least_squares(peak, sigma_cells=2.0).xy.round(6).tolist()
        [[-0.7, 9.2]]
    """
    xp = namespace(maps, sigma_cells)
    read = read_maps(maps, frame, kinds=("peak",), kind=kind)
    values, (h, w) = stopped(read.values), read.size
    top, cell = largest(xp, values)
    log_sigma, xy = _start(xp, values, top, cell, sigma_cells)
    free = sigma_cells is None
    limit = 2 + 4 * xp.exp(log_sigma)
    low, high = -limit, xp.asarray([w, h], dtype=values.dtype) + limit
    fit = _fit(xp, values, xp.clip(xy, low, high), log_sigma, free)
    if free:  # noise bends the parabola of a wide peak; its area at half height does not mind, so the better start wins
        area = xp.sum((values >= top[..., None, None] / 2).astype(values.dtype), axis=(-2, -1)) / (
            2 * math.pi * math.log(2)
        )
        rough = xp.broadcast_to(xp.log(xp.maximum(xp.sqrt(area), 0.5 + 0 * area))[..., None], log_sigma.shape)
        second = _fit(xp, values, cell + 0.5, rough, free)
        fit = _chosen(xp, second.explained > fit.explained, second, fit)
    damping = xp.full_like(top, 1e-6)
    eye = xp.eye(fit.normal.shape[-1], dtype=values.dtype)
    # near the optimum the explained energy is flat, and rounding must not refuse the last digits
    slack = 1 - 64 * xp.finfo(values.dtype).eps
    for _ in range(ITERATIONS):
        step = _solve(xp, fit.normal, fit.gradient, damping, eye)
        longest = xp.maximum(xp.exp(xp.max(fit.log_sigma, axis=-1)), xp.max(xp.abs(step[..., 1:3]), axis=-1))
        move = step[..., 1:3] * (xp.exp(xp.max(fit.log_sigma, axis=-1)) / longest)[..., None]  # a sigma at most
        wider = fit.log_sigma + xp.clip(step[..., 3:], -0.3, 0.3) if free else fit.log_sigma
        limit = 2 + 4 * xp.exp(wider)
        high = xp.asarray([w, h], dtype=values.dtype) + limit
        new = _fit(xp, values, xp.clip(fit.xy + move, -limit, high), wider, free)
        better = new.explained >= fit.explained * slack
        damping = xp.where(better, damping * 0.1, damping * 10)
        fit = _chosen(xp, better, new, fit)
    gx, gy = peak_vectors(xp, fit.xy, xp.exp(fit.log_sigma), (h, w))
    residual = values - fit.amplitude[..., None, None] * gy[..., :, None] * gx[..., None, :]
    variance = xp.sum(residual**2, axis=(-2, -1)) / max(1, h * w - eye.shape[0])
    columns = [
        _solve(xp, fit.normal, xp.broadcast_to(eye[i], fit.gradient.shape), xp.zeros_like(top), eye)[..., 1:3]
        for i in (1, 2)
    ]
    return read.decoded(
        fit.xy,
        xp.stack(columns, axis=-1) * variance[..., None, None],
        fit.amplitude,
        found=xp.isfinite(top) & (top > 0),
    )


def _chosen(xp: Namespace, where: Array, new: _Fit, old: _Fit) -> _Fit:
    return _Fit(
        *(
            xp.where(where.reshape(*where.shape, *[1] * (n.ndim - where.ndim)), n, o)
            for n, o in zip(new, old, strict=True)
        )
    )


def _start(xp: Namespace, values: Array, top: Array, cell: Array, sigma_cells: Sigma | None) -> tuple[Array, Array]:
    """ln sigma (x, y) and centre from the parabola through the logarithms of three cells along each axis."""
    h, w = values.shape[-2:]
    floor = (1e-3 * xp.maximum(top, xp.asarray(1e-30, dtype=top.dtype)))[..., None]
    flat = values.reshape(*values.shape[:-2], -1)
    slopes, curvatures, middles = [], [], []
    for axis, (length, stride) in enumerate(((w, 1), (h, w))):
        middle = xp.clip(cell[..., axis], min(1, length - 1), max(0, length - 2)).astype("int32")
        other = cell[..., 1 - axis].astype("int32") * (w if axis == 0 else 1)
        three = (
            xp.clip(middle[..., None] + xp.asarray([-1, 0, 1], dtype="int32"), 0, length - 1) * stride
            + other[..., None]
        )
        before, at, after = (
            xp.log(xp.maximum(xp.take_along_axis(flat, three, axis=-1), floor))[..., i] for i in range(3)
        )
        slopes.append((after - before) / 2)
        curvatures.append(2 * at - before - after)
        middles.append(middle.astype(values.dtype) + 0.5)
    slope, curvature, middle = (xp.stack(parts, axis=-1) for parts in (slopes, curvatures, middles))
    if sigma_cells is not None:
        sigma = sigma_per_axis(xp, sigma_cells, middle)
    else:  # one for both axes; where there is no peak, about the width of published targets
        bent = xp.mean(curvature, axis=-1, keepdims=True)
        sigma = 1 / xp.sqrt(xp.clip(xp.where(bent > 0, bent, 0.25), 4 / max(h, w) ** 2, 4.0))
        sigma = xp.broadcast_to(sigma, middle.shape)
    return stopped(xp.log(sigma)), middle + sigma**2 * slope


def _fit(xp: Namespace, values: Array, xy: Array, log_sigma: Array, free: bool) -> _Fit:
    """The best amplitude at these centres, and the normal equations there, all from products of vectors."""
    h, w = values.shape[-2:]
    sigma = xp.exp(log_sigma)
    bases = []
    for axis, (g, n) in enumerate(zip(peak_vectors(xp, xy, sigma, (h, w)), (w, h), strict=True)):
        u = (xp.arange(n, dtype=values.dtype) + 0.5 - xy[..., axis, None]) / sigma[..., axis, None]
        bases.append(xp.stack([g, g * u / sigma[..., axis, None], g * u**2], axis=-1))  # g, dg/dcentre, dg/dln sigma
    x, y = bases
    seen = matmul(xp.swapaxes(y, -1, -2), matmul(values, x))  # (3 of y, 3 of x)
    grams = [xp.sum(b[..., :, None] * b[..., None, :], axis=-3) for b in bases]
    energy = grams[0][..., 0, 0] * grams[1][..., 0, 0]
    amplitude = seen[..., 0, 0] / energy
    # every derivative is a sum of products (column of y) (column of x); amplitude scales all but its own
    terms = [[(0, 0)], [(0, 1)], [(1, 0)], [(2, 0), (0, 2)]][: 4 if free else 3]
    scale = [xp.ones_like(amplitude)] + [amplitude] * (len(terms) - 1)

    def inner(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> Array:
        return sum(grams[1][..., a, c] * grams[0][..., b, d] for a, b in left for c, d in right)

    normal = xp.stack(
        [
            xp.stack([inner(p, q) * s * t for q, t in zip(terms, scale, strict=True)], axis=-1)
            for p, s in zip(terms, scale, strict=True)
        ],
        axis=-2,
    )
    gradient = xp.stack(
        [
            (sum(seen[..., a, b] for a, b in p) - amplitude * inner(p, terms[0])) * s
            for p, s in zip(terms, scale, strict=True)
        ],
        axis=-1,
    )
    return _Fit(xy, log_sigma, amplitude, seen[..., 0, 0] * amplitude, normal, gradient)


def _solve(xp: Namespace, normal: Array, right: Array, damping: Array, eye: Array) -> Array:
    """(N + damping diag N)^-1 right, scaled to a unit diagonal first; a parameter without influence stays where it is."""
    diagonal = xp.diagonal(normal, axis1=-2, axis2=-1)
    scale = xp.where(diagonal > 0, 1 / xp.sqrt(xp.where(diagonal > 0, diagonal, 1.0)), 0.0)
    scaled = normal * scale[..., :, None] * scale[..., None, :]
    least = 8 * xp.finfo(normal.dtype).eps
    # NumPy's solver refuses a whole batch for one singular matrix; maps with NaN in them are ABSENT afterwards anyway
    sound = xp.all(xp.isfinite(scaled), axis=(-2, -1))[..., None, None]
    lhs = (
        xp.where(sound, scaled, eye)
        + (damping[..., None, None] + least + xp.where(scale == 0, 1.0, 0.0)[..., None, :]) * eye
    )
    return xp.linalg.solve(lhs, (right * scale)[..., None])[..., 0] * scale
