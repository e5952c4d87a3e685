"""One name for tensors and arrays: a function of tensors that takes NumPy arrays through torch and hands JAX arrays on.

There is one algorithm per name: NumPy arrays are tensors on the same memory while it runs. JAX arrays must stay JAX's,
because jax.jit and jax.grad follow them, so a function has a version for them in :mod:`isotherm.jax`, which tests hold
to the same values.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, overload, runtime_checkable

import numpy as np
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.heatmap import Heatmap
from isotherm.ops.numpy_arrays import as_arrays, as_tensor
from isotherm.points import Points

P = ParamSpec("P")
OfTensors = TypeVar("OfTensors", covariant=True)
OfArrays = TypeVar("OfArrays", covariant=True)


@runtime_checkable
class JaxArray(Protocol):
    """What tells a JAX array from others without importing JAX."""

    @property
    def at(self) -> Any: ...


@runtime_checkable
class ForAll(Protocol[P, OfTensors, OfArrays]):
    """A function of tensors (or Heatmaps, or Points) that takes NumPy and JAX arrays too, and then returns the second
    type.
    """

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> OfTensors: ...
    @overload
    def __call__(self, array: np.ndarray | JaxArray, /, *args: Any, **kwargs: Any) -> OfArrays: ...


def also_arrays(
    jax_version: Callable[..., OfArrays],
) -> Callable[[Callable[P, OfTensors]], ForAll[P, OfTensors, OfArrays]]:
    """Decorator of a public function of tensors that shall also take NumPy and JAX arrays.

    The first argument decides: a Tensor, a Heatmap or Points go to the function, a NumPy array too, as a tensor on the
    same memory, and what comes out is made NumPy again (:func:`isotherm.ops.numpy_arrays.as_arrays`); a JAX array goes
    to ``jax_version``. The type alone is looked at, so compiled graphs are not broken.

    Args:
        jax_version: the same for JAX arrays.

    Returns:
        The decorator.

    Raises:
        ShapeError: from the decorated function: a first argument of any other type, or arrays of two libraries.
        OptionError: an option that the version for JAX does not have.

    Example:
        >>> @also_arrays(lambda values: values.sum())
        ... def total(values: torch.Tensor) -> torch.Tensor:
        ...     return values.sum()
        >>> total(torch.ones(3)), total(np.ones(3))
        (tensor(3.), np.float64(3.0))
    """

    def decorate(function: Callable[P, OfTensors]) -> ForAll[P, OfTensors, OfArrays]:
        own = inspect.signature(function).parameters
        of_jax = inspect.signature(jax_version).parameters
        name = next(iter(own))

        @functools.wraps(function)
        def either(*args: Any, **kwargs: Any) -> Any:
            # without a first argument Python's own message is the clearest
            first = args[0] if args else kwargs.get(name)
            if isinstance(first, torch.Tensor | Heatmap | Points) or (not args and name not in kwargs):
                return function(*args, **kwargs)
            library = family(first)
            if library is None:
                raise ShapeError(
                    f"{function.__name__}: {name} is a {type(first).__module__}.{type(first).__qualname__}; expected a torch.Tensor, "
                    "a Heatmap, or a NumPy or JAX array: convert it with torch.as_tensor"
                )
            names = [*own, *[""] * len(args)]
            _expect_one_library(library, [*zip(names, args, strict=False), *kwargs.items()])
            if library == "numpy":
                tensors = [_tensor(a, n) for n, a in zip(names, args, strict=False)]
                return as_arrays(function(*tensors, **{key: _tensor(a, key) for key, a in kwargs.items()}))  # type: ignore[arg-type]
            unknown = [key for key in kwargs if key not in of_jax and key in own]
            if unknown:
                raise OptionError(
                    f"{function.__name__} of JAX arrays has no {unknown[0]}; leave it out, or give NumPy arrays or tensors"
                )
            return jax_version(*args, **kwargs)

        return either

    return decorate


def family(array: object) -> str | None:
    """'numpy' or 'jax' by the module of the type, or None for anything else; imports nothing."""
    if isinstance(array, np.ndarray):
        return "numpy"
    return "jax" if type(array).__module__.partition(".")[0] in ("jax", "jaxlib") else None


def _expect_one_library(library: str, arguments: list[tuple[str, Any]]) -> None:
    for name, value in arguments:
        other = "torch" if isinstance(value, torch.Tensor) else family(value)
        if other not in (None, library):
            shown = {"numpy": "NumPy arrays", "jax": "JAX arrays", "torch": "tensors"}
            advice = {"numpy": "convert it with numpy.asarray", "jax": "convert it with jax.numpy.asarray"}[library]
            raise ShapeError(
                f"given {shown[library]} and {shown[other]} together ({name}); expected all of one library: {advice}"
            )


def _tensor(value: Any, name: str) -> Any:
    return as_tensor(value, name) if isinstance(value, np.ndarray) else value
