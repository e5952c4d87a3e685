"""The mean of maps that are NumPy or JAX arrays."""

from __future__ import annotations

from jaxtyping import Float

from isotherm.arrays.moments import map_moments
from isotherm.arrays.namespace import Array, quiet
from isotherm.arrays.reading import Decoded, read_maps
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Kind


@quiet
def soft_argmax(
    maps: Float[Array, "*b n h w"], frame: Frame | None = None, *, temperature: float = 1.0, kind: Kind | None = None
) -> Decoded:
    """Decode maps by their mean, as :func:`isotherm.decode.soft_argmax`; pulled inwards at the border.

    Args:
        maps: (*batch, n, h, w) logits or probabilities. frame: single or batched; left out, points come out in cells.
        temperature: logits are divided by it, probabilities taken to the power of 1 over it.
        kind: 'logits' (the default) or 'probability'.

    Returns:
        Places in source pixels, differentiable under jax.grad. ``covariance``: the map's second moment. ``score``: the
        largest probability.

    Raises:
        KindError: peak or relevance maps. OptionError: the temperature is not positive. ShapeError: the maps or the frame.

    Source:
        Sun et al., "Integral Human Pose Regression", ECCV 2018, eq. 2.

    Example:
        >>> import numpy as np
        >>> soft_argmax(np.zeros((1, 4, 6))).xy.round(6).tolist()
        [[3.0, 2.0]]
    """
    read = read_maps(maps, frame, kinds=("logits", "probability"), kind=kind)
    if not temperature > 0:
        raise OptionError(f"temperature is {temperature}; expected a number above 0 (1 leaves the map as it is)")
    probability = read.probability(temperature=temperature)
    moments = map_moments(read.xp, probability)
    return read.decoded(moments.first + 0.5, moments.covariance, read.xp.max(probability, axis=(-2, -1)))
