"""Where the cells of a tensor lie over a model's input: a first centre and a distance along each axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

Cells = tuple[int, ...]
"""How many cells there are: (h, w) of a picture, (moments, h, w) of a clip."""


@dataclass(frozen=True)
class Axis:
    """Cells along one side: the first one's centre and their distance, in input pixels, edge-origin."""

    first: float
    stride: float

    def windows(self, kernel: int, stride: int, padding: int, dilation: int = 1) -> Axis:
        """Behind a convolution or pooling."""
        return Axis(self.first + self.stride * (dilation * (kernel - 1) / 2 - padding), self.stride * stride)

    def spread(self, kernel: int, stride: int, padding: int, dilation: int = 1) -> Axis:
        """Behind a transposed convolution."""
        finer = self.stride / stride
        return Axis(self.first + finer * (padding - dilation * (kernel - 1) / 2), finer)

    def stretched(self, before: int, after: int, *, align_corners: bool = False) -> Axis:
        """Behind resizing or adaptive pooling: the same extent (or the same outermost centres) in other cells."""
        if align_corners and after > 1:
            return replace(self, stride=self.stride * (before - 1) / (after - 1))
        stride = self.stride * before / after
        return Axis(self.first - self.stride / 2 + stride / 2, stride)

    def cut(self, start: int, step: int = 1) -> Axis:
        """Behind slicing, or padding with a negative start."""
        return Axis(self.first + self.stride * start, self.stride * step)


@dataclass(frozen=True)
class Field:
    """Where a tensor's cells lie.

    Args:
        axes: rows and columns, in input pixels; of a clip time in front of them, in frames that the model is fed.
        dims: which dimensions of the tensor they are.
        followed: from the input to this very tensor, so that its dimensions are known; False where a grid of the same
            size spoke for it.
    """

    axes: tuple[Axis, ...]
    dims: tuple[int, ...] = (2, 3)
    followed: bool = True

    @property
    def y(self) -> Axis:
        """The rows."""
        return self.axes[-2]

    @property
    def x(self) -> Axis:
        """The columns."""
        return self.axes[-1]

    @property
    def time(self) -> Axis | None:
        """The moments of a clip; None of a picture."""
        return self.axes[0] if len(self.axes) == 3 else None

    @property
    def first(self) -> tuple[float, float]:
        """(y, x) of the first cell's centre in input pixels."""
        return self.y.first, self.x.first

    @property
    def stride(self) -> tuple[float, float]:
        """(y, x) between cells in input pixels."""
        return self.y.stride, self.x.stride

    def size_in(self, tensor: Tensor) -> Cells:
        """How many cells there are along each axis."""
        return tuple(tensor.shape[d] for d in self.dims)

    def moved(self, move: Callable[..., Axis], *amounts: Sequence[Any]) -> Field:
        """Every axis moved, each by its own of the amounts."""
        return replace(self, axes=tuple(move(axis, *of) for axis, *of in zip(self.axes, *amounts, strict=True)))
