"""Decoded: places found in maps that are NumPy or JAX arrays, what every decoder of arrays returns."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Float, Int

Array = Any
"""A numpy.ndarray or a jax.Array; jaxtyping looks at the shape and the type of the elements alone."""


class Decoded(NamedTuple):
    """Places found in maps, as :class:`isotherm.Points` of NumPy or JAX arrays: of NumPy for NumPy maps, of JAX for JAX
    maps.

    Args:
        xy: (*batch, n, 2) edge-origin source pixels; NaN where there is nothing.
        covariance: (*batch, n, 2, 2) in source pixels squared.
        score: (*batch, n); what it is, the decoder says.
        state: (*batch, n) of :class:`isotherm.State`.
    """

    xy: Float[Array, "*b n 2"]
    covariance: Float[Array, "*b n 2 2"]
    score: Float[Array, "*b n"]
    state: Int[Array, "*b n"]
