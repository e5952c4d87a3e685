"""The Gaussian that fits a peak map best: exact on clean maps, and as good as the noise allows on others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.decode.argmax import largest
from isotherm.decode.noise import in_window, noise_of
from isotherm.decode.reading import read_maps
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.jax.least_squares import least_squares as jax_least_squares
from isotherm.ops.arrays import also_arrays
from isotherm.ops.flatness import FLAT
from isotherm.ops.gaussian import Sigma, axis_exponent, sigma_per_axis
from isotherm.ops.squares import BEYOND, STEPS
from isotherm.points import Points


@also_arrays(jax_least_squares)
def least_squares(
    maps: Heatmap | Float[Tensor, "*b n h w"],
    frame: Frame | None = None,
    *,
    sigma_cells: Sigma | None = None,
    background: bool | None = None,
    kind: Kind | None = None,
) -> Points:
    """Decode peak maps by fitting A exp(-|c - mu|^2 / (2 sigma^2)) + B to the cells around the largest one.

    Args:
        maps: peak maps, a Heatmap or values (*batch, n, h, w) in a tensor, a NumPy or a JAX array.
        frame: of plain values; left out, points come out in cells.
        sigma_cells: standard deviation of the training targets in cells: one number, (*batch, n), or (x, y)
            (*batch, n, 2). None fits one for every map, which costs accuracy at the border, where a centre farther out
            and a wider Gaussian look alike.
        background: whether a level is fitted that the peak stands on; what lies outside of the cells around the peak
            says most of it. None: where sigma is fitted, as then nothing is known of the maps; targets of a known sigma
            stand on 0.
        kind: of plain values: 'peak'.

    Returns:
        Points in source pixels, one per map; of NumPy or JAX arrays :class:`isotherm.arrays.Decoded`, the same as
        arrays. ``covariance``: what the map's noise does to the place: the Cramer-Rao bound of white noise, times what
        noise that is alike in neighbouring cells does more (:func:`isotherm.decode.noise.noise_of`). The noise is that
        of the whole map, or what the fit leaves where that is clearly another: a few hundredths of a cell squared where
        the fit is good, large where the map is no Gaussian. ``score``: the fitted amplitude (at most 1) times the share
        of variance that the Gaussian explains. ``state``: OUT_OF_FRAME beyond the edges, ABSENT where no cell is
        positive, or where sigma is fitted and the cells differ by less than a hundredth, or no Gaussian narrower than
        them fits best: a flat map says no place. xy is differentiable in the map (the gradient of a Gauss-Newton step:
        exact where the residual is 0).

    Raises:
        KindError: not a peak map.
        OptionError: sigma is not positive.
        ShapeError: the arguments do not fit one another.

    Source: Start: weighted least squares on the logarithm, Guo, "A simple algorithm for fitting a Gaussian function",
    IEEE Signal Processing Magazine 28 (2011), eq. 9. Then variable projection, Golub and Pereyra 1973.

    Example:
        >>> cells = torch.arange(64) + 0.5
        >>> peak = torch.exp(-((cells + 1.5) ** 2)[None, None] / 8 - ((cells - 40.0) ** 2)[None, :, None] / 8)   # x = -1.5
        >>> [round(v, 3) for v in least_squares(peak, sigma_cells=2.0).xy[0].tolist()]
        [-1.5, 40.0]
    """
    read = read_maps(maps, frame, kinds=("peak",), kind=kind)
    values, (h, w) = read.values, read.frame.size
    lead = values.shape[:-2]
    top, cell = largest(values)
    valid = torch.isfinite(top) & (top > 0)
    sigma = None if sigma_cells is None else sigma_per_axis(sigma_cells, cell).reshape(-1, 2)
    background = h * w > 1 and (sigma is None if background is None else background)  # a single cell has none
    known = _Known(sigma is not None, h * w if background else None)
    level = values.mean((-2, -1)) if background else torch.zeros_like(top)
    radius = _radius(values.detach(), top, level.detach(), sigma_cells)
    maps = values.reshape(-1, h, w)
    flat, origin = _window(maps, cell.reshape(-1, 2).long(), radius)
    if background:
        flat = flat - level.reshape(-1)[:, None, None]
    # a map of nothing would divide by nothing; it is ABSENT whatever comes out
    flat = torch.where(valid.reshape(-1)[:, None, None], flat, torch.zeros_like(flat))
    height = top.reshape(-1).clamp_min(torch.finfo(flat.dtype).tiny)
    window = flat.detach() / height[:, None, None]
    state, fit = _refine(window, _start(window, cell.reshape(-1, 2) + 0.5 - origin, sigma, background), known)
    mu = state.mu
    if flat.requires_grad:
        again = _measure(flat / height[:, None, None], state, known)
        step = torch.linalg.solve_ex(fit.normal, again.slope.unsqueeze(-1))[0].squeeze(-1)[:, :2]
        mu = mu + step - step.detach()
    cells = flat.shape[-1] * flat.shape[-2]
    residual, explained = _quality(window, state, known)
    near = residual / max(cells - (3 if known.sigma else 4), 1)
    amplitude = fit.amplitude * height
    shared = isinstance(sigma_cells, int | float)
    variance, factor, smooth = noise_of(
        maps.detach(), state.mu + origin, state.sigma[:1] if shared else state.sigma, amplitude
    )
    variance = in_window(variance / height.square(), near, smooth, cells)
    spread = (factor * variance[:, None]).sqrt()
    bound = torch.linalg.inv_ex(fit.normal)[0][:, :2, :2] * spread[:, :, None] * spread[:, None, :]
    score = amplitude.clamp(0, 1) * explained
    if sigma is None:  # at the end of what is tried, the peak is wider than the window: there is none in it
        widest = max(window.shape[-2:])
        valid = valid & (state.sigma.amax(-1) < widest).reshape(lead) if widest > 1 else valid
        valid = valid & (cells == 1 or (window.square().mean((-2, -1)) > FLAT**2).reshape(lead))
    xy = (mu + origin).reshape(*lead, 2)
    return read.decoded(xy, bound.reshape(*lead, 2, 2), score.reshape(lead), valid=valid)


@dataclass(frozen=True)
class _State:
    """Parameters of every window's Gaussian: mu (m, 2) and sigma (m, 2), in cells from the window's corner."""

    mu: Tensor
    sigma: Tensor


@dataclass(frozen=True)
class _Known:
    """What is fitted beside place and amplitude.

    Args:
        sigma: whether sigma is known.
        cells: of the whole map, where there is a background: what a Gaussian adds to it is spread over all of them.
    """

    sigma: bool
    cells: int | None = None


@dataclass(frozen=True)
class _Fit:
    """How well they fit: the best amplitude (m), the gain in squares (m), and the normal equations of
    (mu_x, mu_y[, ln sigma]) with the amplitude projected out: (m, k, k) and (m, k)."""

    amplitude: Tensor
    gain: Tensor
    normal: Tensor
    slope: Tensor


def _measure(window: Tensor, state: _State, known: _Known) -> _Fit:
    kh, kw = window.shape[-2:]
    x, dx, sx = _axis(state.mu[:, 0], state.sigma[:, 0], kw)
    y, dy, sy = _axis(state.mu[:, 1], state.sigma[:, 1], kh)
    # Gaussians far outside of the window are all small: scale them, which changes the amplitude and nothing else
    scale_x, scale_y = (v.amax(-1, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny) for v in (x, y))
    x, dx, sx, y, dy, sy = x / scale_x, dx / scale_x, sx / scale_x, y / scale_y, dy / scale_y, sy / scale_y
    xs, ys = (torch.stack(v, 1) for v in ((x, dx, sx), (y, dy, sy)))
    gram_x, gram_y = xs @ xs.mT, ys @ ys.mT
    forms = ys @ window @ xs.mT  # [i, j] = y_i^T W x_j
    sum_x, sum_y = xs.sum(-1), ys.sum(-1)
    gg = (gram_x[:, 0, 0] * gram_y[:, 0, 0]).clamp_min(torch.finfo(window.dtype).tiny)
    if known.cells is not None:  # a Gaussian as wide as the map would leave nothing but rounding
        least = 16 * torch.finfo(window.dtype).eps * gg
        gg = torch.maximum(gg - (sum_x[:, 0] * sum_y[:, 0]).square() / known.cells, least)
    wg = forms[:, 0, 0]
    amplitude = wg / gg
    # the derivatives are sums of outer products: d/dmu_x = y dx, d/dmu_y = dy x, d/dln sigma = y sx + sy x
    terms: list[list[tuple[int, int]]] = [[(0, 1)], [(1, 0)]] + ([] if known.sigma else [[(0, 2), (2, 0)]])

    def inner(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> Tensor:
        whole = torch.stack([gram_y[:, i, k] * gram_x[:, j, m] for i, j in a for k, m in b]).sum(0)
        return whole if known.cells is None else whole - total(a) * total(b) / known.cells

    def total(a: list[tuple[int, int]]) -> Tensor:
        return torch.stack([sum_y[:, i] * sum_x[:, j] for i, j in a]).sum(0)

    with_g = torch.stack([inner(t, [(0, 0)]) for t in terms], -1)
    with_w = torch.stack([torch.stack([forms[:, i, j] for i, j in t]).sum(0) for t in terms], -1)
    gram = torch.stack([torch.stack([inner(a, b) for b in terms], -1) for a in terms], -2)
    normal = (gram - with_g[:, :, None] * with_g[:, None, :] / gg[:, None, None]) * amplitude.square()[:, None, None]
    slope = (with_w - (wg / gg)[:, None] * with_g) * amplitude[:, None]
    ridge = torch.finfo(window.dtype).eps * normal.diagonal(dim1=-2, dim2=-1).sum(-1) + torch.finfo(window.dtype).tiny
    normal = normal + ridge[:, None, None] * torch.eye(len(terms), dtype=window.dtype, device=window.device)
    return _Fit(amplitude / (scale_x * scale_y)[:, 0], wg.clamp_min(0).square() / gg, normal, slope)


def _quality(window: Tensor, state: _State, known: _Known) -> tuple[Tensor, Tensor]:
    """Sum of squares (m) of what the best amplitude leaves, and how much of the variance (m) the Gaussian explains.

    The first is a difference of maps, because the closed form would cancel. The second is the squared correlation, so
    that nothing of a flat map is explained, and all of a Gaussian on a background.
    """
    kh, kw = window.shape[-2:]
    vectors = _axis(state.mu[:, 0], state.sigma[:, 0], kw)[0], _axis(state.mu[:, 1], state.sigma[:, 1], kh)[0]
    x, y = (v / v.amax(-1, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny) for v in vectors)
    gg, total = x.square().sum(-1) * y.square().sum(-1), x.sum(-1) * y.sum(-1)
    power = gg if known.cells is None else (gg - total.square() / known.cells).clamp_min(torch.finfo(gg.dtype).tiny)
    seen = ((window @ x[:, :, None])[..., 0] * y).sum(-1)
    amplitude = seen / power
    rest = torch.addcmul(window, (amplitude[:, None] * y)[:, :, None], x[:, None, :], value=-1)
    if known.cells is not None:
        rest = rest + (amplitude * total / known.cells)[:, None, None]
    residual = rest.square().sum((-2, -1))
    if kh * kw == 1:
        return residual, torch.ones_like(residual)
    cells = window.flatten(1)
    squares, mean = cells.square().sum(-1), cells.mean(-1)
    variance, power = squares - kh * kw * mean.square(), gg - total.square() / (kh * kw)
    flat = (variance <= FLAT**2 * squares) | (power <= FLAT**2 * gg)
    shared = (seen - mean * total).clamp_min(0)
    return residual, torch.where(flat, 0.0, shared.square() / torch.where(flat, 1.0, variance * power)).clamp(0, 1)


def _axis(mu: Tensor, sigma: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """A Gaussian's vector, its derivative by mu and by ln sigma."""
    exponent = axis_exponent(mu, sigma, length)
    # denormal numbers are slow, and exp(-80) is nothing beside the noise
    g = exponent.clamp_min(-80).exp()
    cells = torch.arange(length, dtype=mu.dtype, device=mu.device) + 0.5
    return g, g * (cells - mu[:, None]) / sigma[:, None].square(), g * -2 * exponent


def _refine(window: Tensor, state: _State, known: _Known) -> tuple[_State, _Fit]:
    """Levenberg and Marquardt's method, a fixed number of steps; a step that gains nothing is taken back."""
    kh, kw = window.shape[-2:]
    size = torch.tensor([kw, kh], dtype=window.dtype, device=window.device)
    fit = _measure(window, state, known)
    damping = torch.full_like(fit.gain, 1e-3)
    for _ in range(STEPS):
        diagonal = fit.normal.diagonal(dim1=-2, dim2=-1)
        step = _solved(fit.normal + torch.diag_embed(diagonal * damping[:, None]), fit.slope)
        step = torch.where(torch.isfinite(step), step, 0.0)
        # no farther than a sigma at once: beyond it the linear model says nothing
        move = step[:, :2].clamp(-state.sigma, state.sigma)
        sigma = (
            state.sigma
            if known.sigma
            else (state.sigma * step[:, 2:].clamp(-0.5, 0.5).exp()).clamp(0.2, float(max(kh, kw)))
        )
        margin = BEYOND * sigma + 2
        tried = _State(torch.minimum(torch.maximum(state.mu + move, -margin), size + margin), sigma)
        new = _measure(window, tried, known)
        better = new.gain >= fit.gain
        state = _State(
            torch.where(better[:, None], tried.mu, state.mu), torch.where(better[:, None], tried.sigma, state.sigma)
        )
        fit = _choose(better, new, fit)
        damping = torch.where(better, damping * 0.1, damping * 10)
    return state, fit


def _solved(normal: Tensor, slope: Tensor) -> Tensor:
    """The step (m, k) of normal equations; of two, by hand, in a quarter of the library's time."""
    if slope.shape[-1] > 2:
        return torch.linalg.solve_ex(normal, slope.unsqueeze(-1))[0].squeeze(-1)
    (a, b), (c, d) = (row.unbind(-1) for row in normal.unbind(-2))
    u, v = slope.unbind(-1)
    return torch.stack([d * u - b * v, a * v - c * u], -1) / (a * d - b * c)[:, None]


def _choose(where: Tensor, a: _Fit, b: _Fit) -> _Fit:
    def pick(x: Tensor, y: Tensor) -> Tensor:
        return torch.where(where.view(-1, *[1] * (x.ndim - 1)), x, y)

    return _Fit(pick(a.amplitude, b.amplitude), pick(a.gain, b.gain), pick(a.normal, b.normal), pick(a.slope, b.slope))


def _start(window: Tensor, at_largest: Tensor, sigma: Tensor | None, background: bool) -> _State:
    """A plane (or, without sigma, a paraboloid) through ln W, weighted by W^2; the largest cell where that fits
    better.
    """
    kh, kw = window.shape[-2:]
    if background:  # the side that is farthest below the peak is the ground
        sides = window[:, 0].mean(-1), window[:, -1].mean(-1), window[..., 0].mean(-1), window[..., -1].mean(-1)
        window = window - torch.stack(sides).amin(0)[:, None, None]
    # float64 where there is one: the weights fall by orders of magnitude from cell to cell
    wide = torch.float32 if window.device.type == "mps" else torch.float64
    log = window.clamp_min(1e-30).log().to(wide)
    weight = window.clamp_min(0).to(wide).square()
    x = (torch.arange(kw, dtype=wide, device=window.device) + 0.5) - at_largest[:, :1].to(wide)
    y = (torch.arange(kh, dtype=wide, device=window.device) + 0.5) - at_largest[:, 1:].to(wide)
    # sums of weight x^j y^i are forms of the powers, so no column of the system is ever a map
    xs, ys = (torch.stack([torch.ones_like(v), v, v.square(), v**3, v**4], 1) for v in (x, y))
    m = ys @ weight @ xs.mT
    if sigma is None:
        square = m[:, 0, 2] + m[:, 2, 0]
        x_square, y_square = m[:, 0, 3] + m[:, 2, 1], m[:, 1, 2] + m[:, 3, 0]
        fourth = m[:, 0, 4] + 2 * m[:, 2, 2] + m[:, 4, 0]
        rows = [
            [m[:, 0, 0], m[:, 0, 1], m[:, 1, 0], square],
            [m[:, 0, 1], m[:, 0, 2], m[:, 1, 1], x_square],
            [m[:, 1, 0], m[:, 1, 1], m[:, 2, 0], y_square],
            [square, x_square, y_square, fourth],
        ]
    else:
        rows = [
            [m[:, 0, 0], m[:, 0, 1], m[:, 1, 0]],
            [m[:, 0, 1], m[:, 0, 2], m[:, 1, 1]],
            [m[:, 1, 0], m[:, 1, 1], m[:, 2, 0]],
        ]
    logs = ys[:, :3] @ (weight * log) @ xs[:, :3].mT
    right = torch.stack([logs[:, 0, 0], logs[:, 0, 1], logs[:, 1, 0], logs[:, 0, 2] + logs[:, 2, 0]][: len(rows)], -1)
    if sigma is not None:  # the known quadratic part goes over to the logarithm
        s = sigma.to(wide)
        bent_x, bent_y = (
            torch.stack([m[:, 0, 2], m[:, 0, 3], m[:, 1, 2]], -1),
            torch.stack([m[:, 2, 0], m[:, 2, 1], m[:, 3, 0]], -1),
        )
        right = right + 0.5 * (bent_x / s[:, :1].square() + bent_y / s[:, 1:].square())
    normal = torch.stack([torch.stack(row, -1) for row in rows], -2)
    normal = normal + 1e-14 * torch.diag_embed(normal.diagonal(dim1=-2, dim2=-1) + 1e-30)
    solution = torch.linalg.solve_ex(normal, right[:, :, None])[0].squeeze(-1)
    if sigma is None:
        half = window.flatten(1).amax(-1) / 2 if background else window.new_full((len(window),), 0.5)
        area = _at_least(window, half).to(wide) / (2 * math.pi * math.log(2))
        roughly = area.sqrt().clamp_min(0.5)
        curved = solution[:, 3] < 0
        fitted = torch.where(curved, (-0.5 / torch.where(curved, solution[:, 3], -1.0)).sqrt(), roughly)
        fitted = torch.where(torch.isfinite(fitted), fitted, roughly).clamp(0.3, float(max(kh, kw)))
        s, plain = fitted[:, None].expand(-1, 2), roughly[:, None].expand(-1, 2)
    else:
        plain = s
    move = s.square() * solution[:, 1:3]
    usable = torch.isfinite(move).all(-1, keepdim=True)
    # the largest cell may be an end of the raster and the centre well beyond it
    move = torch.where(usable, move, 0.0).clamp(-(BEYOND * s + 2), BEYOND * s + 2)
    linear = _State(at_largest + move.to(window), s.to(window))
    largest_cell = _State(at_largest, plain.to(window))
    plain_fit = _Known(True)
    better = _measure(window, linear, plain_fit).gain >= _measure(window, largest_cell, plain_fit).gain
    better = better[:, None]
    return _State(
        torch.where(better, linear.mu, largest_cell.mu), torch.where(better, linear.sigma, largest_cell.sigma)
    )


def _radius(values: Tensor, top: Tensor, level: Tensor, sigma_cells: Sigma | None) -> tuple[int, int]:
    """(x, y) cells around the largest one that hold all of the Gaussian that matters; the whole raster while
    compiling.
    """
    h, w = values.shape[-2:]
    if isinstance(sigma_cells, int | float):
        widest = float(sigma_cells)
    elif torch.compiler.is_compiling() or values.numel() == 0:
        return w, h
    elif sigma_cells is None:
        # half of the peak's height covers 2 pi ln 2 sigma^2 cells; the border may hide three quarters of them
        half = (top + level) / 2 + 1e-3 * top  # above all of a flat map
        area = _at_least(values, half).nan_to_num(0).max()
        widest = 1.5 * math.sqrt(float(area) / (2 * math.pi * math.log(2)))
    else:
        widest = float(sigma_cells.max())
    radius = math.ceil(3 * widest) + 1
    return min(radius, w), min(radius, h)


def _at_least(values: Tensor, level: Tensor) -> Tensor:
    """How many cells of each map lie above a level; by their signs, as counting what compares takes thrice as long."""
    above: Tensor = (values - level[..., None, None]).sign_().flatten(-2).sum(-1)
    return (above + values.shape[-2] * values.shape[-1]) / 2


def _window(values: Tensor, cell: Tensor, radius: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Equal windows around cells, moved inwards at the border so that every cell is a real one; and their corners."""
    h, w = values.shape[-2:]
    kw, kh = min(2 * radius[0] + 1, w), min(2 * radius[1] + 1, h)
    x0 = (cell[:, 0] - radius[0]).clamp(0, w - kw)
    y0 = (cell[:, 1] - radius[1]).clamp(0, h - kh)
    origin = torch.stack([x0, y0], -1).to(values.dtype)
    if (kh, kw) == (h, w):
        return values, origin
    rows = (y0[:, None] + torch.arange(kh, device=values.device))[:, :, None]
    columns = (x0[:, None] + torch.arange(kw, device=values.device))[:, None, :]
    return values.flatten(1).gather(1, (rows * w + columns).flatten(1)).unflatten(1, (kh, kw)), origin
