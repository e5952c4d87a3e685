"""The gradient that JAX shall use for a numerically inverted function: the implicit one, not that of the iterations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from isotherm.jax.module import Array


@functools.cache
def differentiable(solve: Callable[..., Array], slope: Callable[..., Array]) -> Callable[..., Array]:
    """``solve`` as a function that JAX differentiates by ``slope``, in its first argument alone.

    The tangent is made from the solution itself, so it can be differentiated again.

    Args:
        solve: (first, last, sigma, length, iterations) -> mu.
        slope: (mu, sigma, length) -> dmu / dfirst.

    Returns:
        A function (first, last, sigma, length, iterations) -> mu.
    """
    import jax

    @functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
    def inverse(first: Array, last: Array, sigma: Array, length: int, iterations: int) -> Array:
        return solve(first, last, sigma, length, iterations)

    @inverse.defjvp
    def _tangent(
        length: int, iterations: int, primals: tuple[Any, ...], tangents: tuple[Any, ...]
    ) -> tuple[Array, Array]:
        first, last, sigma = primals
        mu = inverse(first, last, sigma, length, iterations)
        return mu, slope(mu, sigma, length) * tangents[0]

    return inverse
