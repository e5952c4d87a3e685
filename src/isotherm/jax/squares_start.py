"""Where the fit of a Gaussian to a peak map begins, as JAX arrays: a fit of the logarithm, or the largest cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from isotherm.jax.module import Array, jnp, matmul, widest
from isotherm.ops.squares import BEYOND


def start(
    window: Array, at_largest: Array, sigma: Array | None, measure: Callable[..., Any], *, background: bool
) -> tuple[Array, Array]:
    """A plane (or, without sigma, a paraboloid) through ln W, weighted by W^2; the largest cell where that fits better.

    Args:
        window: (m, kh, kw) parts of maps, of largest value 1.
        at_largest: (m, 2) their largest cells' centres.
        sigma: (m, 2) in cells, or None.
        measure: how well Gaussians of known sigma fit; its result has a ``gain``.
        background: whether the side that is farthest below the peak is taken off as the ground.

    Returns:
        Places and sigmas, each (m, 2), in cells from the windows' corners.
    """
    kh, kw = window.shape[-2:]
    half = 0.5
    if background:
        sides = window[:, 0], window[:, -1], window[..., 0], window[..., -1]
        ground = jnp.min(jnp.stack([jnp.mean(side, axis=-1) for side in sides]), axis=0)
        window = window - ground[:, None, None]
        half = jnp.max(window, axis=(-2, -1), keepdims=True) / 2
    # float64 where it is switched on: the weights fall by orders of magnitude from cell to cell
    wide = widest(window.dtype)
    values = jnp.maximum(window.astype(wide), 0)
    weight = values**2
    log = jnp.log(jnp.maximum(values, 1e-30))
    x = (jnp.arange(kw, dtype=wide) + 0.5) - at_largest[:, :1].astype(wide)
    y = (jnp.arange(kh, dtype=wide) + 0.5) - at_largest[:, 1:].astype(wide)
    # sums of weight x^j y^i are forms of the powers, so no column of the system is ever a map
    xs, ys = (jnp.stack([v**i for i in range(5)], axis=1) for v in (x, y))
    m = matmul(matmul(ys, weight), jnp.swapaxes(xs, -1, -2))
    rows = [
        [m[:, 0, 0], m[:, 0, 1], m[:, 1, 0]],
        [m[:, 0, 1], m[:, 0, 2], m[:, 1, 1]],
        [m[:, 1, 0], m[:, 1, 1], m[:, 2, 0]],
    ]
    if sigma is None:
        quadratic = [m[:, 0, 2] + m[:, 2, 0], m[:, 0, 3] + m[:, 2, 1], m[:, 1, 2] + m[:, 3, 0]]
        fourth = m[:, 0, 4] + 2 * m[:, 2, 2] + m[:, 4, 0]
        rows = [[*row, q] for row, q in zip(rows, quadratic, strict=True)] + [[*quadratic, fourth]]
    logs = matmul(matmul(ys[:, :3], weight * log), jnp.swapaxes(xs[:, :3], -1, -2))
    right = jnp.stack(
        [logs[:, 0, 0], logs[:, 0, 1], logs[:, 1, 0], logs[:, 0, 2] + logs[:, 2, 0]][: len(rows)], axis=-1
    )
    if sigma is not None:  # the known quadratic part goes over to the logarithm
        s = sigma.astype(wide)
        bent_x = jnp.stack([m[:, 0, 2], m[:, 0, 3], m[:, 1, 2]], axis=-1)
        bent_y = jnp.stack([m[:, 2, 0], m[:, 2, 1], m[:, 3, 0]], axis=-1)
        right = right + 0.5 * (bent_x / s[:, :1] ** 2 + bent_y / s[:, 1:] ** 2)
    normal = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    diagonal = jnp.diagonal(normal, axis1=-2, axis2=-1) + 1e-30
    normal = normal + 1e-14 * diagonal[:, :, None] * jnp.eye(len(rows), dtype=wide)
    fitted = jnp.linalg.solve(normal, right[:, :, None])[..., 0]
    if sigma is None:
        area = jnp.sum((window >= half).astype(wide), axis=(-2, -1)) / (2 * math.pi * math.log(2))
        roughly = jnp.maximum(jnp.sqrt(area), 0.5)
        curved = fitted[:, 3] < 0
        width = jnp.where(curved, jnp.sqrt(-0.5 / jnp.where(curved, fitted[:, 3], -1.0)), roughly)
        width = jnp.clip(jnp.where(jnp.isfinite(width), width, roughly), 0.3, float(max(kh, kw)))
        s, plain = (jnp.broadcast_to(v[:, None], (v.shape[0], 2)) for v in (width, roughly))
    else:
        plain = s
    move = s**2 * fitted[:, 1:3]
    usable = jnp.all(jnp.isfinite(move), axis=-1, keepdims=True)
    # the largest cell may be an end of the raster and the centre well beyond it
    move = jnp.clip(jnp.where(usable, move, 0.0), -(BEYOND * s + 2), BEYOND * s + 2).astype(window.dtype)
    s, plain = s.astype(window.dtype), plain.astype(window.dtype)
    better = (measure(window, at_largest + move, s).gain >= measure(window, at_largest, plain).gain)[:, None]
    return jnp.where(better, at_largest + move, at_largest), jnp.where(better, s, plain)
