"""One name for tensors and for arrays: a function of tensors that hands NumPy and JAX arrays on to its version for them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from isotherm.arrays.namespace import family
from isotherm.errors import OptionError, ShapeError
from isotherm.heatmap import Heatmap
from isotherm.points import Points

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def also_arrays(version: Callable[..., Any]) -> Callable[[Decorated], Decorated]:
    """Decorator of a public function of tensors that also has a version for NumPy and JAX arrays.

    The first argument decides: a Tensor, a Heatmap or Points go to the decorated
    function, a NumPy or a JAX array to ``version``, with the same arguments. The type alone is looked at, so compiled
    graphs are not broken.

    Args:
        version: of the same name in :mod:`isotherm.arrays`.

    Returns:
        The decorator.

    Raises:
        ShapeError: from the decorated function: a first argument of any other type. OptionError: an option that only
        the version for tensors has.

    Example:
        >>> import numpy as np
        >>> @also_arrays(lambda values: values.sum())
        ... def total(values: torch.Tensor) -> torch.Tensor:
        ...     return values.sum()
        >>> total(torch.ones(3)), total(np.ones(3))
        (tensor(3.), np.float64(3.0))
    """

    def decorate(function: Decorated) -> Decorated:
        own = inspect.signature(function).parameters
        known = inspect.signature(version).parameters
        name = next(iter(own))

        @functools.wraps(function)
        def either(*args: Any, **kwargs: Any) -> Any:
            # without a first argument Python's own message is the clearest
            first = args[0] if args else kwargs.get(name)
            if isinstance(first, torch.Tensor | Heatmap | Points) or (not args and name not in kwargs):
                return function(*args, **kwargs)
            if family(first) in ("numpy", "jax"):
                unknown = [key for key in kwargs if key not in known and key in own]
                if unknown:
                    raise OptionError(
                        f"{function.__name__} of arrays has no {unknown[0]}; leave it out, or give tensors (torch.as_tensor)"
                    )
                return version(*args, **kwargs)
            raise ShapeError(
                f"{function.__name__}: {name} is a {type(first).__module__}.{type(first).__qualname__}; expected a torch.Tensor, "
                "a Heatmap, or a NumPy or JAX array: convert it with torch.as_tensor"
            )

        return either  # type: ignore[return-value]

    return decorate
