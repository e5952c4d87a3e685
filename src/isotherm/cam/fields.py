"""Where the cells of a tensor lie over a model's input: a first centre and a distance along each axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from isotherm.cam.kernels import Centre

Placing = Literal["windows", "kernels"]
"""Whether cells lie in the middle of their receptive fields, or where the energy of the weights is centred."""
BY_CHANCE = 3.0
"""Standard deviations of random weights' centre of energy, up to which it says nothing of where cells lie."""
MIDDLE = Centre()
Cells = tuple[int, ...]
"""How many cells there are: (h, w) of a picture, (moments, h, w) of a clip."""


@dataclass(frozen=True)
class Axis:
    """Cells along one side, in input pixels, edge-origin.

    Args:
        first: the centre of the first one's receptive field.
        stride: their distance.
        off: how far from there the energy of the weights on the way is centred, where that is followed.
        chance: the variance of ``off`` for random weights.
    """

    first: float
    stride: float
    off: float = 0.0
    chance: float = 0.0

    def windows(self, kernel: int, stride: int, padding: int, dilation: int = 1, centre: Centre = MIDDLE) -> Axis:
        """Behind a convolution or pooling; centre: of its weights' energy."""
        first = self.first + self.stride * (dilation * (kernel - 1) / 2 - padding)
        return self._through(Axis(first, self.stride * stride), self.stride * dilation, centre)

    def spread(self, kernel: int, stride: int, padding: int, dilation: int = 1, centre: Centre = MIDDLE) -> Axis:
        """Behind a transposed convolution."""
        finer = self.stride / stride
        first = self.first + finer * (padding - dilation * (kernel - 1) / 2)
        return self._through(Axis(first, finer), -finer * dilation, centre)

    def _through(self, behind: Axis, weight: float, centre: Centre) -> Axis:
        """``behind``, with what is centred off the middles so far and in a window whose weights are so far apart."""
        return replace(behind, off=self.off + weight * centre.off, chance=self.chance + weight**2 * centre.chance)

    def stretched(self, before: int, after: int, *, align_corners: bool = False) -> Axis:
        """Behind resizing or adaptive pooling: the same extent (or the same outermost centres) in other cells."""
        if align_corners and after > 1:
            return replace(self, stride=self.stride * (before - 1) / (after - 1))
        stride = self.stride * before / after
        return replace(self, first=self.first - self.stride / 2 + stride / 2, stride=stride)

    def cut(self, start: int, step: int = 1) -> Axis:
        """Behind slicing, or padding with a negative start."""
        return replace(self, first=self.first + self.stride * start, stride=self.stride * step)


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

    def placed(self, placing: Placing) -> Field:
        """Rows and columns by the energy of the weights on the way, where it is farther off than that of random weights
        might be, and ``off`` then says of what ``first`` holds; by their windows alone otherwise, and ``off`` is 0.
        """
        clear = placing == "kernels" and any(abs(a.off) > BY_CHANCE * math.sqrt(a.chance) for a in self.axes[-2:])
        at = [Axis(a.first + a.off, a.stride, a.off) if clear else Axis(a.first, a.stride) for a in self.axes[-2:]]
        return replace(self, axes=(*(Axis(a.first, a.stride) for a in self.axes[:-2]), *at))

    def size_in(self, tensor: Tensor) -> Cells:
        """How many cells there are along each axis."""
        return tuple(tensor.shape[d] for d in self.dims)

    def moved(self, move: Callable[..., Axis], *amounts: Sequence[Any]) -> Field:
        """Every axis moved, each by its own of the amounts."""
        return replace(self, axes=tuple(move(axis, *of) for axis, *of in zip(self.axes, *amounts, strict=True)))
