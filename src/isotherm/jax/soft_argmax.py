"""The mean of maps that are JAX arrays."""

from __future__ import annotations

from jaxtyping import Float

from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Kind
from isotherm.jax.module import Array, jnp
from isotherm.jax.moments import map_moments
from isotherm.jax.reading import read_maps
from isotherm.ops.decoded import Decoded


def soft_argmax(
    maps: Float[Array, "*b n h w"], frame: Frame | None = None, *, temperature: float = 1.0, kind: Kind | None = None
) -> Decoded:
    """Decode maps by their mean, as :func:`isotherm.decode.soft_argmax`; differentiable.

    Raises:
        KindError: peak or relevance maps.
        OptionError: the temperature is not positive.
        ShapeError: the maps or the frame.
    """
    read = read_maps(maps, frame, kinds=("logits", "probability"), kind=kind)
    if not temperature > 0:
        raise OptionError(f"temperature is {temperature}; expected a number above 0 (1 leaves the map as it is)")
    probability = read.probability(temperature=temperature)
    moments = map_moments(probability)
    return read.decoded(moments.first + 0.5, moments.covariance, jnp.max(probability, axis=(-2, -1)))
