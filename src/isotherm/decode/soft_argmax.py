"""Expectations: over the whole map, and over a window around its largest cell."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.decode.argmax import largest
from isotherm.decode.reading import read_maps
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.jax.soft_argmax import soft_argmax as jax_soft_argmax
from isotherm.ops.arrays import also_arrays
from isotherm.ops.flatness import height
from isotherm.ops.moments import map_moments
from isotherm.points import Points


@also_arrays(jax_soft_argmax)
def soft_argmax(
    maps: Heatmap | Float[Tensor, "*b n h w"],
    frame: Frame | None = None,
    *,
    temperature: float = 1.0,
    kind: Kind | None = None,
) -> Points:
    """Decode maps by their mean; for parity. It is pulled inwards at the border: :func:`moment_inverse` is not.

    Args:
        maps: logits or probabilities, a Heatmap or values (*batch, n, h, w) in a tensor, a NumPy or a JAX array.
        frame: of plain values; left out, points come out in cells.
        temperature: logits are divided by it, probabilities taken to the power of 1 over it.
        kind: of plain values, 'logits' (the default) or 'probability'.

    Returns:
        Points in source pixels, differentiable; of NumPy or JAX arrays :class:`isotherm.arrays.Decoded`, the same as
        arrays. ``covariance``: the map's second moment. ``score``: the largest probability.

    Raises:
        KindError: peak or relevance maps: a softmax over a map whose peak is 1 gives its middle, 18 cells off on 64 x
            64.
        OptionError: the temperature is not positive.

    Source: Sun et al., "Integral Human Pose Regression", ECCV 2018, eq. 2.

    Example:
        >>> soft_argmax(torch.zeros(1, 4, 6)).xy.tolist()
        [[3.0, 2.0]]
    """
    read = read_maps(maps, frame, kinds=("logits", "probability"), kind=kind)
    _positive(temperature)
    if read.kind == "logits":
        probability = (read.values / temperature).flatten(-2).softmax(-1).unflatten(-1, read.frame.size)
    else:
        power = read.values if temperature == 1 else read.values ** (1 / temperature)
        probability = power / power.sum((-2, -1), keepdim=True)
    moments = map_moments(probability)
    return read.decoded(moments.mean, moments.covariance, probability.amax((-2, -1)))


def local_soft_argmax(
    maps: Heatmap | Float[Tensor, "*b n h w"],
    frame: Frame | None = None,
    *,
    window: int = 5,
    temperature: float = 1.0,
    kind: Kind | None = None,
) -> Points:
    """Decode maps by the mean over a square window around their largest cell; for parity.

    Args:
        maps: of any kind but relevance, a Heatmap or values (*batch, n, h, w). Peak and probability maps are weights
            themselves, negative values none; logits weigh by their exponential.
        frame: of plain values; left out, points come out in cells.
        window: its side in cells, odd. Cells outside of the raster weigh nothing.
        temperature: logits are divided by it, other weights taken to the power of 1 over it.
        kind: of plain values, 'peak' unless given.

    Returns:
        Points in source pixels, differentiable. ``covariance``: the window's second moment, which is cut off with it.
        ``score``: as of :func:`isotherm.decode.argmax`.

    Raises:
        KindError: relevance.
        OptionError: an even window, or a temperature that is not positive.

    Source: sleap-nn's integral regression (window 5). Biased towards the window's middle where the Gaussian is wider
    than it: 0.30 cells at sigma 3.
    """
    read = read_maps(maps, frame, kinds=("peak", "probability", "logits"), kind=kind)
    _positive(temperature)
    if window < 1 or window % 2 == 0:
        raise OptionError(f"window is {window}; expected an odd number of cells, such as 5")
    top, cell = largest(read.values)
    weights = read.values
    if read.kind == "logits":
        weights = ((weights - top[..., None, None]) / temperature).exp()
    else:
        weights = weights.clamp_min(0) ** (1 / temperature)
    h, w = read.frame.size
    near_x = _near(cell[..., 0], w, window)
    near_y = _near(cell[..., 1], h, window)
    weights = torch.where(near_y[..., :, None] & near_x[..., None, :], weights, 0.0)
    total = weights.sum((-2, -1), keepdim=True)
    moments = map_moments(weights / total)
    return read.decoded(moments.mean, moments.covariance, height(read.values, top), valid=torch.isfinite(top))


def _near(cell: Tensor, length: int, window: int) -> Tensor:
    return (torch.arange(length, device=cell.device) - cell[..., None]).abs() <= window // 2


def _positive(temperature: float) -> None:
    if not temperature > 0:
        raise OptionError(f"temperature is {temperature}; expected a number above 0 (1 leaves the map as it is)")
