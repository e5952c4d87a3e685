"""How noise that is alike in neighbouring cells moves a fitted peak, for maps that are JAX arrays: the algorithm of
:mod:`isotherm.decode.noise`.
"""

from __future__ import annotations

import math

from isotherm.jax.gaussian import axis_exponent
from isotherm.jax.module import Array, jnp, matmul
from isotherm.ops.squares import FITTED, LOST, PLACES, ROWS, SCATTER


def noise_of(values: Array, mu: Array, sigma: Array, amplitude: Array) -> tuple[Array, Array, Array]:
    """Variance (m) of the noise of maps, by how much more than that of white noise it moves a peak along x and y
    (m, 2), and how smooth it is (m), as :func:`isotherm.decode.noise.noise_of`.

    Args:
        values: (m, h, w) maps.
        mu: (m, 2) the peaks' places in cells.
        sigma: (m, 2) in cells.
        amplitude: (m) their heights.
    """
    h, w = values.shape[-2:]
    tiny = jnp.finfo(values.dtype).tiny
    (x, scale_x), (y, scale_y) = (_vector(mu[:, i], sigma[:, i], n) for i, n in enumerate((w, h)))
    height = (amplitude * scale_x * scale_y)[:, None]
    step = max(1, h // ROWS)
    rest = values[:, ::step] - (height * y[:, ::step])[:, :, None] * x[:, None, :]
    ground = jnp.mean(rest, axis=(-2, -1), keepdims=True)
    rest = rest - ground
    variance = jnp.mean(rest**2, axis=(-2, -1)) * (h * w / max(h * w - FITTED, 1))
    steps = jnp.mean((rest[..., 1:] - rest[..., :-1]) ** 2, axis=(-2, -1)) / 2 if w > 1 else variance
    smooth = -0.25 / jnp.log(jnp.clip(1 - steps / jnp.maximum(variance, tiny), 1e-6, 0.999))
    across, down = (_templates(sigma[:, i], n) for i, n in enumerate((w, h)))
    seen = matmul(matmul(down, values), jnp.swapaxes(across, -1, -2))
    peak_x, peak_y = (matmul(t, v[:, :, None])[..., 0] for t, v in ((across, x), (down, y)))
    seen = seen - (peak_y * height)[:, :, None] * peak_x[:, None, :]
    seen = seen - ground * jnp.sum(down, axis=-1)[:, :, None] * jnp.sum(across, axis=-1)[:, None, :]
    wide, high = across.shape[1] // 2, down.shape[1] // 2
    power_x, power_y = (jnp.sum(t**2, axis=-1) for t in (across, down))
    factors = []
    for rows, columns in ((slice(high), slice(wide, None)), (slice(high, None), slice(wide))):
        power = jnp.sum(power_y[:, rows], axis=-1) * jnp.sum(power_x[:, columns], axis=-1) * variance
        factors.append(jnp.sum(seen[:, rows, columns] ** 2, axis=(-2, -1)) / jnp.maximum(power, tiny))
    return variance, _settled(jnp.stack(factors, axis=-1), sigma, smooth, (h, w)), smooth


def _vector(mu: Array, sigma: Array, length: int) -> tuple[Array, Array]:
    """A Gaussian of largest value 1 over the cells, and what it was divided by."""
    exponent = axis_exponent(mu, sigma, length)
    top = jnp.maximum(jnp.max(exponent, axis=-1), -80)
    return jnp.exp(jnp.maximum(exponent - top[:, None], -80)), jnp.exp(top)


def _templates(sigma: Array, length: int) -> Array:
    """Gaussians in places spread over an axis, and behind them their derivatives, (m, 2 * places, length)."""
    count = min(PLACES, length)
    at = (jnp.arange(count, dtype=sigma.dtype) + 0.5) * (length / count)
    away = (jnp.arange(length, dtype=sigma.dtype) + 0.5 - at[:, None]) / sigma[:, None, None]
    g = jnp.exp(jnp.maximum(-0.5 * away**2, -40))
    return jnp.concatenate([g, g * away], axis=1)


def _settled(factor: Array, sigma: Array, smooth: Array, size: tuple[int, int]) -> Array:
    """Factors drawn to one another and to 1 unless they clearly differ, and what few places lose."""
    h, w = size
    free = SCATTER * h * w / (sigma[:, 0] * sigma[:, 1] + smooth)
    free = jnp.clip(free, 4, min(PLACES, h) * min(PLACES, w))[:, None]
    factor = factor * (1 + 1 / free)
    both = jnp.mean(factor, axis=-1, keepdims=True)
    apart = ((factor - both) / jnp.maximum(both, jnp.finfo(both.dtype).tiny)) ** 2 * free
    factor = both + (factor - both) * apart / (1 + apart)
    sure = (factor - 1) ** 2 * free / 8
    return 1 + (factor - 1) * (1 + LOST / free) * sure / (1 + sure)


def in_window(variance: Array, near: Array, smooth: Array, cells: int) -> Array:
    """The variance (m) of noise at the peak: the map's, unless what the fit leaves is clearly larger or smaller."""
    usual = 1 + 3 * jnp.sqrt(2 * (1 + 4 * math.pi * smooth) / cells)
    tiny = jnp.finfo(variance.dtype).tiny
    more, less = near / jnp.maximum(variance, tiny), variance / jnp.maximum(near, tiny)
    other = jnp.maximum(more / usual, less / usual**2) - 1
    return variance + jnp.clip(other, 0, 1) * (near - variance)
