"""Soft-argmax without its bias, for maps that are NumPy or JAX arrays."""

from __future__ import annotations

from jaxtyping import Float

from isotherm.arrays.gaussian import Sigma, peak_vectors, probability_vectors, sigma_per_axis
from isotherm.arrays.moments import inverse_mean, map_moments, truncated_gaussian
from isotherm.arrays.namespace import Array, Namespace, matmul, namespace, quiet, stopped
from isotherm.arrays.reading import Decoded, read_maps
from isotherm.frame import Frame
from isotherm.heatmap import Kind
from isotherm.ops.moments import ITERATIONS


@quiet
def moment_inverse(
    maps: Float[Array, "*b n h w"], frame: Frame | None = None, *, sigma_cells: Sigma, kind: Kind | None = None
) -> Decoded:
    """Decode maps that were trained by cross-entropy against Gaussians, as :func:`isotherm.decode.moment_inverse`.

    Exact at the border and beyond it, and differentiable under jax.grad through the implicit function theorem.

    Args:
        maps: (*batch, n, h, w) logits or probabilities. frame: single or batched; left out, points come out in cells.
        sigma_cells: standard deviation of the *training targets* in cells: a number, (*batch, n), or (x, y) (*batch, n, 2).
            Gradients do not flow to it.
        kind: 'logits' (the default) or 'probability'.

    Returns:
        Places in source pixels. ``covariance``: the map's second moment with the truncation undone. ``score``: how much of
        the map lies at the place, as a share of what a clean map has there, 0 to 1. ``state``: OUT_OF_FRAME beyond the
        edges.

    Raises:
        KindError: peak or relevance maps. OptionError: sigma is not positive. ShapeError: the maps, the frame or sigma.

    Source:
        Sun et al., "Integral Human Pose Regression", ECCV 2018, eq. 2, inverted by dm/dmu = Var / sigma^2.

    Example:
        >>> import numpy as np
        >>> cells = np.arange(64) + 0.5
        >>> logits = -((cells - 0.3) ** 2)[None, None] / 8 - ((cells - 40.0) ** 2)[None, :, None] / 8   # x = 0.3, sigma 2
        >>> moment_inverse(logits, sigma_cells=2.0).xy.round(6).tolist()
        [[0.3, 40.0]]
    """
    xp = namespace(maps, sigma_cells)
    read = read_maps(maps, frame, kinds=("logits", "probability"), kind=kind)
    probability, (h, w) = read.probability(), read.size
    moments = map_moments(xp, probability)
    sigma = stopped(sigma_per_axis(xp, sigma_cells, moments.first))
    # a narrow Gaussian's mean is a staircase of its centre; an array's values are not looked at
    iterations = ITERATIONS if isinstance(sigma_cells, int | float) and sigma_cells >= 0.7 else 12
    axes = [(moments.first[..., i], moments.last[..., i], sigma[..., i], n) for i, n in enumerate((w, h))]
    xy = xp.stack([inverse_mean(xp, first, last, s, n, iterations=iterations) for first, last, s, n in axes], axis=-1)
    place = stopped(xy)
    clean = xp.stack(
        [truncated_gaussian(xp, place[..., i], sigma[..., i], n)[1] for i, n in enumerate((w, h))], axis=-1
    )
    # where a clean map has no variance left (far outside, or a single cell) the map's own says nothing: no more than sigma's
    widen = sigma / xp.sqrt(xp.maximum(clean, xp.asarray(xp.finfo(clean.dtype).eps, dtype=clean.dtype)))
    covariance = moments.covariance * widen[..., :, None] * widen[..., None, :]
    return read.decoded(xy, covariance, _score(xp, probability, place, sigma))


def _score(xp: Namespace, probability: Array, place: Array, sigma: Array) -> Array:
    """gy^T P gx over the same of the clean map, which is a product of two short sums."""
    size = probability.shape[-2:]
    # relative to its peak, because far outside the window would be all zeros
    windows = peak_vectors(xp, place, sigma, size)
    tiny = xp.asarray(xp.finfo(place.dtype).tiny, dtype=place.dtype)
    gx, gy = (g / xp.maximum(xp.max(g, axis=-1, keepdims=True), tiny) for g in windows)
    px, py = probability_vectors(xp, place, sigma, size)
    clean = xp.sum(px * gx, axis=-1) * xp.sum(py * gy, axis=-1)
    here = xp.sum(matmul(probability, gx[..., None])[..., 0] * gy, axis=-1)
    return xp.clip(here / clean, 0, 1)
