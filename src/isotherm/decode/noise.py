"""How noise that is alike in neighbouring cells moves a fitted peak: measured in the map itself, beside the peak."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.ops.gaussian import axis_exponent
from isotherm.ops.squares import FITTED, LOST, PLACES, ROWS, SCATTER


def noise_of(
    values: Float[Tensor, "m h w"],
    mu: Float[Tensor, "m 2"],
    sigma: Float[Tensor, "k 2"],
    amplitude: Float[Tensor, " m"],
) -> tuple[Float[Tensor, " m"], Float[Tensor, "m 2"], Float[Tensor, " m"]]:
    """Variance of the noise of maps, and by how much more than that of white noise it moves a peak along x and y.

    The place of a least-squares fit moves by the noise's product with the Gaussian's derivative. How that product
    varies is looked at in :data:`PLACES` x :data:`PLACES` places spread over the map from which the peak was taken
    away: noise that is smooth over cells varies it more than as much white noise does.

    Args:
        values: (m, h, w) maps.
        mu: (m, 2) the peaks' places in cells.
        sigma: (m, 2), or (1, 2) where that of all is the same.
        amplitude: (m) their heights.

    Returns:
        (m) variances, (m, 2) factors, 1 for white noise, and (m) the squares of the sigma in cells of the Gaussian that
        would smooth white noise so that neighbouring cells are as alike as here.
    """
    h, w = values.shape[-2:]
    (x, scale_x), (y, scale_y) = (_vector(mu[:, i], sigma[:, i].expand(len(mu)), n) for i, n in enumerate((w, h)))
    height = (amplitude * scale_x * scale_y)[:, None]
    tiny = torch.finfo(values.dtype).tiny
    step = max(1, h // ROWS)  # an eighth of the cells says the variance as well
    rest = torch.addcmul(values[:, ::step], (height * y[:, ::step])[:, :, None], x[:, None, :], value=-1)
    ground = rest.flatten(1).mean(-1)[:, None, None]
    rest = rest - ground
    variance = rest.flatten(1).square().mean(-1) * (h * w / max(h * w - FITTED, 1))
    steps = (rest[..., 1:] - rest[..., :-1]).flatten(1).square().mean(-1) / 2 if w > 1 else variance
    # of noise that was smoothed by a Gaussian, neighbours are alike by exp(-1 / (4 smooth^2))
    smooth = -0.25 / (1 - steps / variance.clamp_min(tiny)).clamp(1e-6, 0.999).log()
    across, down = (_templates(sigma[:, i], n) for i, n in enumerate((w, h)))
    seen = down @ _products(values, across)
    peak_x, peak_y = (_products(v[:, None], t) for v, t in ((x, across), (y, down)))
    seen = torch.addcmul(seen, peak_y.mT * height[:, :, None], peak_x, value=-1)
    seen = torch.addcmul(seen, ground * down.sum(-1)[:, :, None], across.sum(-1)[:, None, :], value=-1)
    wide, high = across.shape[1] // 2, down.shape[1] // 2
    power_x, power_y = (t.square().sum(-1) for t in (across, down))
    factors = []
    for rows, columns in ((slice(high), slice(wide, None)), (slice(high, None), slice(wide))):
        power = power_y[:, rows].sum(-1) * power_x[:, columns].sum(-1) * variance
        factors.append(seen[:, rows, columns].square().sum((-2, -1)) / power.clamp_min(tiny))
    return variance, _settled(torch.stack(factors, -1), sigma, smooth, (h, w)), smooth


def _vector(mu: Tensor, sigma: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """A Gaussian of largest value 1 over the cells, and what it was divided by."""
    exponent = axis_exponent(mu, sigma, length)
    top = exponent.amax(-1).clamp_min(-80)
    return (exponent - top[:, None]).clamp_min(-80).exp(), top.exp()


def _templates(sigma: Tensor, length: int) -> Tensor:
    """Gaussians in places spread over an axis, and behind them their derivatives, (m, 2 * places, length)."""
    count = min(PLACES, length)
    at = (torch.arange(count, dtype=sigma.dtype, device=sigma.device) + 0.5) * (length / count)
    away = torch.arange(0.5, length, dtype=sigma.dtype, device=sigma.device) - at[:, None]
    away = away / sigma[:, None, None]
    g = (-0.5 * away.square()).clamp_min(-40).exp()
    return torch.cat([g, g * away], 1)


def _products(rows: Tensor, templates: Tensor) -> Tensor:
    """(m, k, n) rows with (m, t, n) templates, (m, k, t): one product of matrices where all maps share the latter."""
    if len(templates) == 1:
        return (rows.reshape(-1, rows.shape[-1]) @ templates[0].mT).unflatten(0, rows.shape[:2])
    return rows @ templates.mT


def _settled(factor: Tensor, sigma: Tensor, smooth: Tensor, size: tuple[int, int]) -> Tensor:
    """Factors without what few places do to them: drawn to one another and to 1 unless they clearly differ.

    A fit takes a part of the noise at its place for the peak, and an ellipse of an estimated size holds less often than
    it says: both go with the number of independent places.
    """
    h, w = size
    free = (SCATTER * h * w / (sigma.prod(-1) + smooth)).clamp(4, min(PLACES, h) * min(PLACES, w))[:, None]
    factor = factor * (1 + 1 / free)
    both = factor.mean(-1, keepdim=True)
    apart = ((factor - both) / both.clamp_min(torch.finfo(both.dtype).tiny)).square() * free
    factor = both + (factor - both) * apart / (1 + apart)
    sure = (factor - 1).square() * free / 8
    return 1 + (factor - 1) * (1 + LOST / free) * sure / (1 + sure)


def in_window(
    variance: Float[Tensor, " m"], near: Float[Tensor, " m"], smooth: Float[Tensor, " m"], cells: int
) -> Float[Tensor, " m"]:
    """The variance of noise at the peak: that of the map, unless what the fit leaves is clearly larger or smaller.

    Args:
        variance: (m) of the map's noise.
        near: (m) of what the fit left in its window: the noise, and whatever is no Gaussian.
        smooth: (m) of :func:`noise_of`; the smoother the noise, the fewer of its values are independent.
        cells: of the window.
    """
    alike = 1 + 4 * math.pi * smooth
    usual = 1 + 3 * (2 * alike / cells).sqrt()
    tiny = torch.finfo(variance.dtype).tiny
    more, less = near / variance.clamp_min(tiny), variance / near.clamp_min(tiny)
    # a fit takes smooth noise for a part of the peak, so less is left as a rule
    other = torch.maximum(more / usual, less / usual.square()) - 1
    return variance + other.clamp(0, 1) * (near - variance)
