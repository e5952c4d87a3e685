"""NumPy or JAX: which of the two a call is about, and the few functions that only one of them has."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np

from isotherm.errors import OptionError, ShapeError

Array = Any
"""A numpy.ndarray or a jax.Array (traced ones too); jaxtyping looks at the shape and the type of the elements alone."""
Namespace = Any
"""The module numpy or the module jax.numpy."""


def family(array: object) -> str | None:
    """'numpy', 'jax' or 'torch' by the module of the type, or None; imports nothing."""
    if isinstance(array, np.ndarray):
        return "numpy"
    root = type(array).__module__.partition(".")[0]
    return {"jax": "jax", "jaxlib": "jax", "torch": "torch"}.get(root)


def namespace(*arrays: object) -> Namespace:
    """The module that the arrays belong to: numpy or jax.numpy.

    Args:
        arrays: the arrays of one call. None and plain numbers say nothing and are passed over. JAX is asked for only where
            one of them is a JAX array, and then it is there already.

    Raises:
        ShapeError: no array among them, one of another type, or arrays of both.

    Example:
        >>> namespace(np.zeros(3), None, 2.0).__name__
        'numpy'
    """
    told = [a for a in arrays if a is not None and not isinstance(a, int | float | np.generic)]
    families = [family(a) for a in told]
    for array, of in zip(told, families, strict=True):
        if of not in ("numpy", "jax"):
            advice = (
                "use the function of isotherm.targets, losses or decode"
                if of == "torch"
                else "convert it with numpy.asarray or jax.numpy.asarray"
            )
            raise ShapeError(
                f"given a {type(array).__module__}.{type(array).__qualname__}; expected a NumPy or a JAX array: {advice}"
            )
    if not families:
        raise ShapeError("there is no array among the arguments; give a NumPy or a JAX array")
    if len(set(families)) > 1:
        raise ShapeError(
            "given NumPy and JAX arrays together; expected all of one library: convert the NumPy ones with jax.numpy.asarray"
        )
    return np if families[0] == "numpy" else sys.modules["jax"].numpy


def quiet(function: Any) -> Any:
    """The function without NumPy's floating-point warnings: as in torch and JAX, the result says NaN or infinity itself."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return called


def is_traced(array: Array) -> bool:
    """True for a JAX array whose values are not known yet (under jit, grad or vmap)."""
    return family(array) == "jax" and isinstance(array, sys.modules["jax"].core.Tracer)


def stopped(array: Array) -> Array:
    """The array as a constant: without a gradient under JAX, itself under NumPy."""
    return sys.modules["jax"].lax.stop_gradient(array) if family(array) == "jax" else array


def matmul(a: Array, b: Array) -> Array:
    """Matrix product in the arrays' full precision; by default JAX rounds to fewer digits on accelerators."""
    if family(a) == "jax":
        return sys.modules["jax"].numpy.matmul(a, b, precision="highest")
    return np.matmul(a, b)


def logsumexp(xp: Namespace, values: Array) -> Array:
    """ln of the sum of exponentials along the last axis."""
    top = stopped(xp.max(values, axis=-1, keepdims=True))
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    return xp.log(xp.sum(xp.exp(values - top), axis=-1)) + top[..., 0]


def softmax(xp: Namespace, values: Array) -> Array:
    """Exponentials along the last axis, divided by their sum."""
    grown = xp.exp(values - stopped(xp.max(values, axis=-1, keepdims=True)))
    return grown / xp.sum(grown, axis=-1, keepdims=True)


def floating(array: Array, what: str, dims: str) -> Array:
    """The array in float32 or more.

    Raises:
        ShapeError: its elements are no floating-point numbers.
    """
    xp = namespace(array)
    if not xp.issubdtype(array.dtype, xp.floating):
        raise ShapeError(f"{what} have dtype {array.dtype}; expected floating point {dims}")
    return array.astype(xp.promote_types(array.dtype, xp.float32))


def one_of(given: str, choices: tuple[str, ...], what: str) -> None:
    """Refuse an unknown word."""
    if given not in choices:
        raise OptionError(f"{what} is {given!r}; expected {' or '.join(map(repr, choices))}")
