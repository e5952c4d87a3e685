"""jax.numpy, imported at its first use, and the few functions that all versions for JAX share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from isotherm.errors import OptionError, ShapeError

Array = Any
"""A jax.Array, traced or not; jaxtyping looks at the shape and the type of the elements alone."""


class _JaxNumpy:
    """The module jax.numpy. It is there already when a JAX array is given, so nothing is loaded for anybody else."""

    def __getattr__(self, name: str) -> Any:
        import jax.numpy

        return getattr(jax.numpy, name)


jnp: Any = _JaxNumpy()


def is_traced(array: Array) -> bool:
    """True where the values are not known yet (under jit, grad or vmap); a plain number is no traced array."""
    import jax

    return isinstance(array, jax.core.Tracer)


def stopped(array: Array) -> Array:
    """The array as a constant, without a gradient."""
    import jax

    return jax.lax.stop_gradient(array)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one compiled program for each shape of its arguments."""
    import jax

    return jax.jit(function)  # type: ignore[no-any-return]


def repeated(steps: int, step: Callable[..., Any], state: Any) -> Any:
    """The state behind so many steps; the step is compiled once."""
    import jax

    return jax.lax.fori_loop(0, steps, step, state)


def widest(dtype: Any) -> Any:
    """float64 where JAX has it switched on, otherwise the type given."""
    import jax

    return jnp.dtype("float64") if jax.config.jax_enable_x64 else dtype  # type: ignore[attr-defined]


def matmul(a: Array, b: Array) -> Array:
    """Matrix product in the arrays' full precision; by default JAX rounds to fewer digits on accelerators."""
    return jnp.matmul(a, b, precision="highest")


def logsumexp(values: Array) -> Array:
    """ln of the sum of exponentials along the last axis."""
    top = stopped(jnp.max(values, axis=-1, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    return jnp.log(jnp.sum(jnp.exp(values - top), axis=-1)) + top[..., 0]


def softmax(values: Array) -> Array:
    """Exponentials along the last axis, divided by their sum."""
    grown = jnp.exp(values - stopped(jnp.max(values, axis=-1, keepdims=True)))
    return grown / jnp.sum(grown, axis=-1, keepdims=True)


def floating(array: Array, what: str, dims: str) -> Array:
    """The array in float32 or more.

    Raises:
        ShapeError: it is no JAX array, or its elements are no floating-point numbers.
    """
    dtype = getattr(array, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        kind = f"have dtype {dtype}" if dtype is not None else f"are a {type(array).__qualname__}"
        raise ShapeError(f"{what} {kind}; expected a JAX array of floating-point numbers {dims}")
    return array.astype(jnp.promote_types(dtype, jnp.float32))


def expect_word(word: str, choices: tuple[str, ...], what: str) -> None:
    """Refuse an unknown word."""
    if word not in choices:
        raise OptionError(f"{what} is {word!r}; expected one of {', '.join(choices)}")
