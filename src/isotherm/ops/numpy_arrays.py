"""NumPy arrays as tensors and tensors as NumPy arrays, on the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.ops.decoded import Decoded
from isotherm.points import Points
from isotherm.training_map import TrainingMap


def as_tensor(array: np.ndarray, name: str = "array") -> Tensor:
    """The array as a tensor of the same type, on the same memory.

    Copied only where a tensor cannot lie: steps backwards (``array[::-1]``) or across the elements, or the bytes of
    another kind of machine. An array that may not be written is not copied: nothing in isotherm writes into what it is
    given.

    Args:
        array: of any numbers that torch knows.
        name: of the argument, for messages.

    Raises:
        ShapeError: a masked array, or elements that torch does not know.

    Example:
        >>> array = np.ones((2, 3))
        >>> as_tensor(array).data_ptr() == array.ctypes.data
        True
    """
    if isinstance(array, np.ma.MaskedArray):
        raise ShapeError(f"{name} is a masked array; say what stands under the mask: {name}.filled(numpy.nan)")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(step < 0 or step % max(1, array.itemsize) for step in array.strides):
        array = array.copy()
    if not array.flags.writeable:
        array = np.asarray(_Writable(array))
    try:
        return torch.from_numpy(array)
    except TypeError:
        raise ShapeError(
            f"{name} has dtype {array.dtype}; expected numbers, such as {name}.astype('float32')"
        ) from None


def as_arrays(result: Any) -> Any:
    """What a function of tensors returns, of NumPy arrays: a Tensor as an array on the same memory (a single number as
    NumPy's, such as numpy.float32, which is what NumPy's own sums return), Points as :class:`Decoded`, a TrainingMap as
    the values of its maps.

    Example:
        >>> as_arrays(torch.tensor([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """
    if isinstance(result, Tensor):
        return result.detach().cpu().contiguous().numpy()[()]
    if isinstance(result, Points):
        return Decoded(*(as_arrays(part) for part in (result.xy, result.covariance, result.score, result.state)))
    if isinstance(result, TrainingMap):
        return as_arrays(result.heatmap.values)
    return result


class _Writable:
    """An array that may not be written, said to be one that may: torch has no tensors of the first sort and warns of
    them.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = array  # kept alive for as long as the tensor
        place, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (place, False)}
