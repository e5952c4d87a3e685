"""The Gaussian that fits a peak map best, for maps that are JAX arrays: the algorithm of
:mod:`isotherm.decode.least_squares`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from isotherm.frame import Frame
from isotherm.heatmap import Kind
from isotherm.jax.argmax import largest
from isotherm.jax.gaussian import Sigma, axis_exponent, sigma_per_axis
from isotherm.jax.module import Array, compiled, is_traced, jnp, matmul, repeated, stopped
from isotherm.jax.noise import in_window, noise_of
from isotherm.jax.reading import read_maps
from isotherm.jax.squares_start import start
from isotherm.ops.decoded import Decoded
from isotherm.ops.flatness import FLAT
from isotherm.ops.squares import BEYOND, STEPS


def least_squares(
    maps: Float[Array, "*b n h w"],
    frame: Frame | None = None,
    *,
    sigma_cells: Sigma | None = None,
    background: bool | None = None,
    kind: Kind | None = None,
) -> Decoded:
    """Decode peak maps by the Gaussian with the least squared error, as :func:`isotherm.decode.least_squares`.

    Around the largest cell only, where the size of that window is known: under jax.jit it is for a sigma that is a
    plain number, and otherwise the whole raster is fitted, as a compiled graph of tensors does.

    Raises:
        KindError: maps of another kind.
        OptionError: sigma is not positive.
        ShapeError: the maps, the frame or sigma.
    """
    read = read_maps(maps, frame, kinds=("peak",), kind=kind)
    values, (h, w) = read.values, read.size
    lead = values.shape[:-2]
    top, cell = largest(values)
    valid = jnp.isfinite(top) & (top > 0)
    sigma = None if sigma_cells is None else stopped(sigma_per_axis(sigma_cells, cell)).reshape(-1, 2)
    background = h * w > 1 and (sigma is None if background is None else background)  # a single cell has none
    level = jnp.mean(values, axis=(-2, -1)) if background else jnp.zeros_like(top)
    radius = _radius(values, top, stopped(level), sigma_cells)
    flat, origin = _window(values.reshape(-1, h, w), cell.reshape(-1, 2), radius)
    if background:
        flat = flat - level.reshape(-1)[:, None, None]
    # a map of nothing would divide by nothing; it is ABSENT whatever comes out
    flat = jnp.where(valid.reshape(-1)[:, None, None], flat, 0.0)
    # as one program: every step by itself would be compiled by itself, two hundred of them for each size of the window
    xy, bound, score, peaked = compiled(_with_background if background else _without)(
        stopped(values).reshape(-1, h, w), flat, top.reshape(-1), cell.reshape(-1, 2) + 0.5, origin, sigma
    )
    valid = valid & peaked.reshape(lead)
    return read.decoded((xy + origin).reshape(*lead, 2), bound.reshape(*lead, 2, 2), score.reshape(lead), valid=valid)


def _with_background(*arguments: Array) -> tuple[Array, Array, Array, Array]:
    """As :func:`_fitted`, with a background."""
    return _fitted(*arguments, background=True)


def _without(*arguments: Array) -> tuple[Array, Array, Array, Array]:
    """As :func:`_fitted`, without a background."""
    return _fitted(*arguments, background=False)


def _fitted(
    maps: Array,
    flat: Array,
    height: Array,
    largest_cell: Array,
    origin: Array,
    sigma: Array | None,
    *,
    background: bool,
) -> tuple[Array, Array, Array, Array]:
    """Places (m, 2) in cells from the windows' corners, covariances and scores of the Gaussians that fit best, and
    whether they are narrower than the window.

    Args:
        maps: (m, h, w).
        flat: (m, kh, kw) windows of them, less the maps' means where there is a background.
        height: (m) their largest values.
        largest_cell: (m, 2) the centres of their largest cells.
        origin: (m, 2) the windows' corners.
        sigma: (m, 2) in cells, or None.
        background: whether one is fitted.
    """
    known = Known(sigma is not None, maps.shape[-1] * maps.shape[-2] if background else None)
    height = jnp.maximum(height, _tiny(flat))
    window = stopped(flat) / height[:, None, None]
    mu, sigmas = _refine(window, *start(window, largest_cell - origin, sigma, _plain, background=background), known)
    fit = measure(window, mu, sigmas, known)
    # the gradient of a Gauss-Newton step: exact where the residual is 0
    again = measure(flat / height[:, None, None], mu, sigmas, known)
    step = jnp.linalg.solve(fit.normal, again.slope[..., None])[..., 0][:, :2]
    xy = mu + step - stopped(step)
    residual, explained = _quality(window, mu, sigmas, known)
    cells = flat.shape[-1] * flat.shape[-2]
    near = residual / max(cells - (3 if known.sigma else 4), 1)
    variance, factor, smooth = noise_of(maps, mu + origin, sigmas, fit.amplitude * height)
    variance = in_window(variance / height**2, near, smooth, cells)
    spread = jnp.sqrt(factor * variance[:, None])
    bound = jnp.linalg.inv(fit.normal)[:, :2, :2] * spread[:, :, None] * spread[:, None, :]
    widest = max(window.shape[-2:])
    peaked = jnp.full(height.shape, True)
    if not known.sigma and widest > 1:
        peaked = (jnp.max(sigmas, axis=-1) < widest) & (jnp.mean(window**2, axis=(-2, -1)) > FLAT**2)
    return xy, bound, jnp.clip(fit.amplitude * height, 0, 1) * explained, peaked


class Known(NamedTuple):
    """Whether sigma is known, and the cells of the whole map where a background is fitted."""

    sigma: bool
    cells: int | None = None


class Fit(NamedTuple):
    """How well Gaussians fit: the best amplitude (m), the gain in squares (m), and the normal equations of
    (mu_x, mu_y[, ln sigma]) with the amplitude projected out: (m, k, k) and (m, k)."""

    amplitude: Array
    gain: Array
    normal: Array
    slope: Array


def _plain(window: Array, mu: Array, sigma: Array) -> Fit:
    return measure(window, mu, sigma, Known(True))


def measure(window: Array, mu: Array, sigma: Array, known: Known) -> Fit:
    """The fit of Gaussians at (m, 2) places of (m, 2) widths, in cells from the windows' corners."""
    kh, kw = window.shape[-2:]
    tiny = _tiny(window)
    bases = []
    scales = []
    for axis, length in enumerate((kw, kh)):
        vectors = _axis(mu[:, axis], sigma[:, axis], length)
        # Gaussians far outside of the window are all small: scale them, which changes the amplitude and nothing else
        scale = jnp.maximum(jnp.max(vectors[0], axis=-1, keepdims=True), tiny)
        bases.append(jnp.stack([v / scale for v in vectors], axis=1))
        scales.append(scale[:, 0])
    xs, ys = bases
    gram_x, gram_y = (matmul(b, jnp.swapaxes(b, -1, -2)) for b in (xs, ys))
    forms = matmul(matmul(ys, window), jnp.swapaxes(xs, -1, -2))  # [i, j] = y_i^T W x_j
    gg = jnp.maximum(gram_x[:, 0, 0] * gram_y[:, 0, 0], tiny)
    sum_x, sum_y = jnp.sum(xs, axis=-1), jnp.sum(ys, axis=-1)
    if known.cells is not None:  # a Gaussian as wide as the map would leave nothing but rounding
        least = 16 * jnp.finfo(window.dtype).eps * gg
        gg = jnp.maximum(gg - (sum_x[:, 0] * sum_y[:, 0]) ** 2 / known.cells, least)
    wg = forms[:, 0, 0]
    amplitude = wg / gg
    # the derivatives are sums of outer products: d/dmu_x = y dx, d/dmu_y = dy x, d/dln sigma = y sx + sy x
    terms = [[(0, 1)], [(1, 0)]] + ([] if known.sigma else [[(0, 2), (2, 0)]])

    def inner(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> Array:
        whole = sum(gram_y[:, i, k] * gram_x[:, j, m] for i, j in a for k, m in b)
        return whole if known.cells is None else whole - total(a) * total(b) / known.cells

    def total(a: list[tuple[int, int]]) -> Array:
        return sum(sum_y[:, i] * sum_x[:, j] for i, j in a)

    with_g = jnp.stack([inner(t, [(0, 0)]) for t in terms], axis=-1)
    with_w = jnp.stack([sum(forms[:, i, j] for i, j in t) for t in terms], axis=-1)
    gram = jnp.stack([jnp.stack([inner(a, b) for b in terms], axis=-1) for a in terms], axis=-2)
    normal = (gram - with_g[:, :, None] * with_g[:, None, :] / gg[:, None, None]) * (amplitude**2)[:, None, None]
    slope = (with_w - amplitude[:, None] * with_g) * amplitude[:, None]
    ridge = jnp.finfo(window.dtype).eps * jnp.trace(normal, axis1=-2, axis2=-1) + tiny
    normal = normal + ridge[:, None, None] * jnp.eye(len(terms), dtype=window.dtype)
    return Fit(amplitude / (scales[0] * scales[1]), jnp.maximum(wg, 0) ** 2 / gg, normal, slope)


def _quality(window: Array, mu: Array, sigma: Array, known: Known) -> tuple[Array, Array]:
    """Sum of squares (m) of what the best amplitude leaves, and how much of the variance (m) the Gaussian explains.

    The first is a difference of maps, because the closed form would cancel. The second is the squared correlation, so
    that nothing of a flat map is explained, and all of a Gaussian on a background.
    """
    kh, kw = window.shape[-2:]
    vectors = (_axis(mu[:, 0], sigma[:, 0], kw)[0], _axis(mu[:, 1], sigma[:, 1], kh)[0])
    x, y = (v / jnp.maximum(jnp.max(v, axis=-1, keepdims=True), _tiny(v)) for v in vectors)
    gg, total = jnp.sum(x**2, axis=-1) * jnp.sum(y**2, axis=-1), jnp.sum(x, axis=-1) * jnp.sum(y, axis=-1)
    power = gg if known.cells is None else jnp.maximum(gg - total**2 / known.cells, _tiny(gg))
    seen = jnp.sum(matmul(window, x[:, :, None])[..., 0] * y, axis=-1)
    amplitude = seen / power
    rest = window - (amplitude[:, None] * y)[:, :, None] * x[:, None, :]
    if known.cells is not None:
        rest = rest + (amplitude * total / known.cells)[:, None, None]
    residual = jnp.sum(rest**2, axis=(-2, -1))
    if kh * kw == 1:
        return residual, jnp.ones_like(residual)
    squares, mean = jnp.sum(window**2, axis=(-2, -1)), jnp.mean(window, axis=(-2, -1))
    variance, power = squares - kh * kw * mean**2, gg - total**2 / (kh * kw)
    flat = (variance <= FLAT**2 * squares) | (power <= FLAT**2 * gg)
    shared = jnp.maximum(seen - mean * total, 0)
    return residual, jnp.where(flat, 0.0, jnp.clip(shared**2 / jnp.where(flat, 1.0, variance * power), 0, 1))


def _axis(mu: Array, sigma: Array, length: int) -> tuple[Array, Array, Array]:
    """A Gaussian's vector, its derivative by mu and by ln sigma."""
    exponent = axis_exponent(mu, sigma, length)
    g = jnp.exp(jnp.maximum(exponent, -80))
    cells = jnp.arange(length, dtype=mu.dtype) + 0.5
    return g, g * (cells - mu[:, None]) / sigma[:, None] ** 2, g * -2 * exponent


def _refine(window: Array, mu: Array, sigma: Array, known: Known) -> tuple[Array, Array]:
    """Levenberg and Marquardt's method, a fixed number of steps; a step that gains nothing is taken back."""
    kh, kw = window.shape[-2:]
    size = jnp.asarray([kw, kh], dtype=window.dtype)

    def improved(_: Array, state: tuple[Array, Array, Fit, Array]) -> tuple[Array, Array, Fit, Array]:
        mu, sigma, fit, damping = state
        diagonal = jnp.diagonal(fit.normal, axis1=-2, axis2=-1)
        damped = fit.normal + (diagonal * damping[:, None])[:, :, None] * jnp.eye(
            diagonal.shape[-1], dtype=window.dtype
        )
        step = jnp.linalg.solve(damped, fit.slope[..., None])[..., 0]
        step = jnp.where(jnp.isfinite(step), step, 0.0)
        # no farther than a sigma at once: beyond it the linear model says nothing
        move = jnp.clip(step[:, :2], -sigma, sigma)
        wider = sigma
        if not known.sigma:
            wider = jnp.clip(sigma * jnp.exp(jnp.clip(step[:, 2:], -0.5, 0.5)), 0.2, float(max(kh, kw)))
        margin = BEYOND * wider + 2
        tried = jnp.clip(mu + move, -margin, size + margin)
        new = measure(window, tried, wider, known)
        better = new.gain >= fit.gain
        mu, sigma = jnp.where(better[:, None], tried, mu), jnp.where(better[:, None], wider, sigma)
        kept = (jnp.where(better.reshape(-1, *[1] * (n.ndim - 1)), n, o) for n, o in zip(new, fit, strict=True))
        return mu, sigma, Fit(*kept), jnp.where(better, damping * 0.1, damping * 10)

    fit = measure(window, mu, sigma, known)
    return repeated(STEPS, improved, (mu, sigma, fit, jnp.full_like(fit.gain, 1e-3)))[:2]


def _radius(values: Array, top: Array, level: Array, sigma_cells: Sigma | None) -> tuple[int, int]:
    """(x, y) cells around the largest one that hold all of the Gaussian that matters; the whole raster where that is
    not known.
    """
    h, w = values.shape[-2:]
    if isinstance(sigma_cells, int | float):
        widest = float(sigma_cells)
    elif is_traced(values) or is_traced(sigma_cells) or values.size == 0:
        return w, h
    elif sigma_cells is None:
        # half of the peak's height covers 2 pi ln 2 sigma^2 cells; the border may hide three quarters of them
        half = (top + level) / 2 + 1e-3 * top  # above all of a flat map
        area = jnp.max(jnp.sum(values >= half[..., None, None], axis=(-2, -1)))
        widest = 1.5 * math.sqrt(float(area) / (2 * math.pi * math.log(2)))
    else:
        widest = float(np.max(np.asarray(sigma_cells)))
    radius = math.ceil(3 * widest) + 1
    return min(radius, w), min(radius, h)


def _window(values: Array, cell: Array, radius: tuple[int, int]) -> tuple[Array, Array]:
    """Equal windows around cells, moved inwards at the border so that every cell is a real one; and their corners."""
    h, w = values.shape[-2:]
    kw, kh = min(2 * radius[0] + 1, w), min(2 * radius[1] + 1, h)
    index = cell.astype("int32")
    x0, y0 = jnp.clip(index[:, 0] - radius[0], 0, w - kw), jnp.clip(index[:, 1] - radius[1], 0, h - kh)
    origin = jnp.stack([x0, y0], axis=-1).astype(values.dtype)
    if (kh, kw) == (h, w):
        return values, origin
    rows = (y0[:, None] + jnp.arange(kh))[:, :, None]
    columns = (x0[:, None] + jnp.arange(kw))[:, None, :]
    taken = jnp.take_along_axis(values.reshape(-1, h * w), (rows * w + columns).reshape(-1, kh * kw), axis=1)
    return taken.reshape(-1, kh, kw), origin


def _tiny(array: Array) -> Array:
    return jnp.finfo(array.dtype).tiny
