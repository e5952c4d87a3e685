"""The refusal of what is no tensor, before an operation stumbles over it."""

from __future__ import annotations

from torch import Tensor

from isotherm.errors import ShapeError


def check_tensors(**values: object) -> None:
    """Raise ShapeError unless all of these are tensors.

    Args:
        **values: by the names of the arguments.

    Example:
        >>> check_tensors(points=None)
        Traceback (most recent call last):
        ...
        isotherm.errors.ShapeError: points is None; expected a tensor
    """
    for name, value in values.items():
        if value is None:
            raise ShapeError(f"{name} is None; expected a tensor")
        if not isinstance(value, Tensor):
            raise ShapeError(f"{name} is a {type(value).__name__}; expected a tensor: torch.as_tensor makes one")
