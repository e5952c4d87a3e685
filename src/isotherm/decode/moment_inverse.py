"""Soft-argmax without its bias: the centre of the truncated Gaussian that has the map's mean."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.decode.reading import read_maps
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.jax.moment_inverse import moment_inverse as jax_moment_inverse
from isotherm.ops.arrays import also_arrays
from isotherm.ops.gaussian import Sigma, axis_exponent, sigma_per_axis
from isotherm.ops.moments import ITERATIONS, clean_variance, inverse_mean, map_moments
from isotherm.points import Points


@also_arrays(jax_moment_inverse)
def moment_inverse(
    maps: Heatmap | Float[Tensor, "*b n h w"],
    frame: Frame | None = None,
    *,
    sigma_cells: Sigma,
    kind: Kind | None = None,
) -> Points:
    """Decode maps that were trained by cross-entropy against Gaussians: exact at the border and beyond it;
    differentiable.

    The mean of a Gaussian normalised over the cells grows strictly with its centre, however much of it the border cuts
    off, so the centre is found back from the mean by Newton's method, and differentiated by the implicit function
    theorem.

    Args:
        maps: logits or probabilities, a Heatmap or values (*batch, n, h, w) in a tensor, a NumPy or a JAX array.
            Probabilities are normalised over the cells.
        frame: of plain values; left out, points come out in cells.
        sigma_cells: standard deviation of the *training targets* in cells: one number, (*batch, n), or (x, y) (*batch,
            n, 2). Inside of the raster it hardly matters; at the border everything hangs on it.
        kind: of plain values, 'logits' (the default) or 'probability'.

    Returns:
        Points in source pixels, one per map; of NumPy or JAX arrays :class:`isotherm.arrays.Decoded`, the same as
        arrays. ``covariance``: the map's own second moment with the truncation undone: each
        axis widened by sigma^2 over the variance that a clean map has at this place, the correlation kept. A clean map
        has sigma^2, a map that wavers between places more. ``score``: how much of the map lies at the decoded place,
        weighted by a Gaussian, above what a flat map has there and as a share of the same of a clean map; 0 to 1: 0 for
        a flat map, and near 0 where the map has two peaks and the place falls between them.
        ``state``: OUT_OF_FRAME beyond the edges. Places more than 2 + 4 sigma cells outside are moved to there; their
        gradient is 0.

    Raises:
        KindError: peak or relevance maps, whose background would pull every point to the middle.
        OptionError: sigma is not positive.
        ShapeError: the maps, the frame or sigma do not fit one another.

    Source: Soft-argmax: Sun et al., "Integral Human Pose Regression", ECCV 2018, eq. 2. Its inversion is ours, from the
    mean-value map of exponential families (dm/dmu = Var / sigma^2).

    Example:
        >>> cells = torch.arange(64) + 0.5
        >>> logits = -((cells - 0.3) ** 2)[None, None] / 8 - ((cells - 40.0) ** 2)[None, :, None] / 8   # x = 0.3, sigma 2
        >>> [round(v, 3) for v in moment_inverse(logits, sigma_cells=2.0).xy[0].tolist()]
        [0.3, 40.0]
    """
    read = read_maps(maps, frame, kinds=("logits", "probability"), kind=kind)
    values, (h, w) = read.values, read.frame.size
    if read.kind == "logits":
        probability = values.flatten(-2).softmax(-1).unflatten(-1, (h, w))
    else:
        probability = values / values.sum((-2, -1), keepdim=True)
    moments = map_moments(probability)
    sigma = sigma_per_axis(sigma_cells, moments.first)
    # a narrow Gaussian's mean is a staircase of its centre; a tensor's values are not looked at
    iterations = ITERATIONS if isinstance(sigma_cells, int | float) and sigma_cells >= 0.7 else 12
    if h == w:  # both axes at once
        xy = inverse_mean(moments.first, moments.last, sigma, w, iterations=iterations)
    else:
        axes = zip(moments.first.unbind(-1), moments.last.unbind(-1), sigma.unbind(-1), (w, h), strict=True)
        xy = torch.stack([inverse_mean(first, last, s, n, iterations=iterations) for first, last, s, n in axes], -1)
    return read.decoded(xy, _untruncated(moments.covariance, xy, sigma, (w, h)), _score(probability, xy, sigma))


def _untruncated(covariance: Tensor, xy: Tensor, sigma: Tensor, lengths: tuple[int, int]) -> Tensor:
    """Each axis times sqrt(sigma^2 / Var) on both sides; the correlation stays as it is."""
    axes = zip(xy.detach().unbind(-1), sigma.unbind(-1), lengths, strict=True)
    clean = torch.stack([clean_variance(mu, s, n) for mu, s, n in axes], -1)
    # where a clean map has no variance left (far outside, or a single cell) the map's own says nothing: no more than
    # sigma's
    widen = sigma / clean.clamp_min(torch.finfo(clean.dtype).eps).sqrt()
    return covariance * widen[..., :, None] * widen[..., None, :]


def _score(probability: Tensor, xy: Tensor, sigma: Tensor) -> Tensor:
    """gy^T P gx from that of a flat map (0) to that of the clean map (1); both are products of two short sums."""
    h, w = probability.shape[-2:]
    (gx, clean_x), (gy, clean_y) = (_weights(xy.detach()[..., i], sigma[..., i], n) for i, n in enumerate((w, h)))
    here = (torch.matmul(gy[..., None, :], probability)[..., 0, :] * gx).sum(-1)
    clean = clean_x * clean_y
    if h * w == 1:  # a single cell is flat and clean at once
        return (here / clean).clamp(0, 1)
    flat = gx.mean(-1) * gy.mean(-1)
    # a target much wider than the map is flat itself, and nothing tells it from a map that is
    return ((here - flat) / (clean - flat).clamp_min(1e-3)).clamp(0, 1)


def _weights(mu: Tensor, sigma: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """A Gaussian of largest value 1 over the cells, and its mean under the clean map."""
    exponent = axis_exponent(mu, sigma, length)
    # exp(-40) is nothing beside 1, and far smaller numbers (denormal ones) are 20 times slower to multiply
    g = (exponent - exponent.amax(-1, keepdim=True)).clamp_min(-40).exp()
    return g, g.square().sum(-1) / g.sum(-1)
