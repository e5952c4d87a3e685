"""Where a layer's cells lie over the input: the centre of each cell's receptive field, from the operations themselves.

A 3x3 convolution with stride 2 and padding 1 centres its output cell i on input cell 2i, not on 2i + 1/2 where an even
split of the input would put it. Five of them in a row leave cells that lie half a cell, 15.5 pixels of 32, above and to
the left of where tools that stretch the map over the picture draw them. Araujo, Norris and Sim, "Computing Receptive
Fields of Convolutional Neural Networks", Distill 2019, give the recurrences; here they follow every operation of one
forward pass, so any network is served, whatever its modules are called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from isotherm.cam.untraced import Untraced

aten = torch.ops.aten

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


class Follower(Untraced):
    """While active, follows cells from a model's input through every operation that moves them.

    Where branches meet that disagree (a pooled shortcut beside a strided convolution), cells lie at their mean. What a
    branch pooled to a single cell adds has no place and counts for nothing. Operations that regroup cells (windows of
    attention) lose them for a while; a map of the same size finds its cells again.
    """

    def __init__(self, source: Tensor) -> None:
        super().__init__()
        self._fields: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._by_size: dict[Cells, Field | None] = {}
        dims = source_dims(source)
        self._ndim, self._channels_first, self._channels_last = source.ndim, *usual_dims(len(dims))
        self._set(source, Field((Axis(0.5, 1.0),) * len(dims), dims))

    def of(self, tensor: Tensor, dims: tuple[int, ...] | None = None) -> Field | None:
        """Where the cells of a tensor with as many dimensions as the input lie, or None where that was lost on the way.

        Args:
            dims: which of its dimensions are cells, should the tensor itself have been lost sight of; channels first
                unless given.
        """
        if tensor in self._fields:
            return self._fields[tensor]
        dims = dims or self._channels_first
        return self.of_size(tuple(tensor.shape[d] for d in dims), dims)

    def of_size(self, size: Cells, dims: tuple[int, ...] | None = None) -> Field | None:
        """Where the cells of the latest grid of that size lie."""
        dims = dims or self._channels_first
        if size in self._by_size:
            latest = self._by_size[size]
            return None if latest is None else replace(latest, dims=dims, followed=False)
        (*before, h, w) = size
        # nothing but regrouping (patch merging by reshape) makes a size that no followed operation made, and it never
        # overlaps
        for (*moments, rows, columns), field in reversed(self._by_size.items()):
            merged = rows > h and rows % h == 0 and columns % w == 0 and rows // h == columns // w
            if field is not None and moments == before and merged:
                axes = (*field.axes[:-2], field.y.stretched(rows, h), field.x.stretched(columns, w))
                return Field(axes, dims, followed=False)
        return None

    def _set(self, tensor: Tensor, field: Field | None) -> None:
        self._fields[tensor] = field
        size = tuple(tensor.shape[d] for d in self._channels_first) if field is None else field.size_in(tensor)
        if any(side != 1 for side in size):
            self._by_size.pop(size, None)  # so that the latest comes last
            self._by_size[size] = field

    def handle(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The operation's result, whose cells are known from here on."""
        rule = MOVES.get(func.overloadpacket)
        if rule is None:
            with self:  # under inference_mode an operation arrives whole that otherwise comes as its steps
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        inputs = [a for arg in args for a in (arg if isinstance(arg, list | tuple) else [arg]) if isinstance(a, Tensor)]
        for result in out if isinstance(out, list | tuple) else [out]:
            if not isinstance(result, Tensor) or result.ndim != self._ndim:
                continue
            if rule is None:
                field = self._same(inputs, result)
            else:
                same = inputs[0].ndim == self._ndim
                before = self._before(inputs[0], func.overloadpacket in ANY_ORDER) if same else None
                field = None if before is None else rule(before, inputs[0], result, args)
            if field is not None or rule is not None:
                self._set(result, field)  # what moves lost cells makes lost cells, and no size speaks for them
        return out

    def _before(self, tensor: Tensor, any_order: bool) -> Field | None:
        """Where the cells of an operation's input lie; what merely cuts or turns it may find its rows and columns
        first.
        """
        return self.of(tensor) or (self.of(tensor, self._channels_last) if any_order else None)

    def _same(self, inputs: Sequence[Tensor], result: Tensor) -> Field | None:
        """Operations that move nothing: the mean of the inputs that have a place and the result's size."""
        placed = [(t, self._fields[t]) for t in inputs if self._fields.get(t) is not None]
        fields = [f for t, f in placed if _matches(t, f, result)]
        if not fields:
            return None
        return Field(
            tuple(_mean(axes) for axes in zip(*(f.axes for f in fields), strict=True)),
            fields[0].dims,
            all(f.followed for f in fields),
        )


def _mean(axes: Sequence[Axis]) -> Axis:
    return Axis(sum(a.first for a in axes) / len(axes), sum(a.stride for a in axes) / len(axes))


def source_dims(source: Tensor) -> tuple[int, ...]:
    """Which dimensions of a model's input are cells: rows and columns of (b, c, h, w), time as well of a clip, (b, t,
    c, h, w).
    """
    return (1, 3, 4) if source.ndim == 5 else (2, 3)


def usual_dims(count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which dimensions of a feature map are its ``count`` axes, with channels first and with channels last."""
    return tuple(range(2, count + 2)), tuple(range(1, count + 1))


def _matches(tensor: Tensor, field: Field, result: Tensor) -> bool:
    size = field.size_in(tensor)
    return any(side != 1 for side in size) and size == field.size_in(result)


Move = Callable[[Field, Tensor, Tensor, Sequence[Any]], Field | None]


def _convolution(f: Field, _x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field:
    kernel, n = args[1].shape[2:], len(f.axes)
    stride, padding, dilation = (_each(value, n) for value in args[3:6])
    return f.moved(Axis.spread if args[6] else Axis.windows, kernel, stride, padding, dilation)


def _pool(f: Field, _x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field:
    n = len(f.axes)
    kernel, stride = _each(args[1], n), _each(args[2] if len(args) > 2 and args[2] else args[1], n)
    return f.moved(Axis.windows, kernel, stride, _each(args[3] if len(args) > 3 else 0, n))


def _max_pool(f: Field, x: Tensor, out: Tensor, args: Sequence[Any]) -> Field:
    n = len(f.axes)
    dilation = _each(args[4] if len(args) > 4 else 1, n)
    kernel = _each(args[1], n)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    return _pool(f, x, out, [x, reach, args[2] if len(args) > 2 and args[2] else kernel, *args[3:4]])


def _stretch(f: Field, x: Tensor, out: Tensor, args: Sequence[Any], *, align_corners: bool = False) -> Field:
    return f.moved(partial(Axis.stretched, align_corners=align_corners), f.size_in(x), f.size_in(out))


def _interpolate(f: Field, x: Tensor, out: Tensor, args: Sequence[Any]) -> Field:
    return _stretch(f, x, out, args, align_corners=len(args) > 2 and args[2] is True)


def _pad(f: Field, x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field | None:
    amounts = [*args[1], *[0] * (2 * x.ndim)]  # from the last dimension on, before and after
    return f.moved(Axis.cut, [-amounts[2 * (x.ndim - 1 - d)] for d in f.dims])


def _slice(f: Field, x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field:
    dim, start, step = (
        (*args[1:3], args[4] if len(args) > 4 else 1) if len(args) > 2 else (args[1] if len(args) > 1 else 0, 0, 1)
    )
    length = x.shape[dim]
    start = 0 if start is None else max(0, start + length if start < 0 else start)
    return f.moved(lambda axis, d: axis.cut(start, step) if d == dim % x.ndim else axis, f.dims)


def _permute(f: Field, x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field:
    order = [d % x.ndim for d in args[1]]
    return replace(f, dims=tuple(order.index(d) for d in f.dims))


def _transpose(f: Field, x: Tensor, out: Tensor, args: Sequence[Any]) -> Field:
    order = list(range(x.ndim))
    a, b = args[1] % x.ndim, args[2] % x.ndim
    order[a], order[b] = b, a
    return _permute(f, x, out, [x, order])


def _each(value: Any, count: int) -> tuple[int, ...]:
    """One number for each of ``count`` axes."""
    if isinstance(value, int):
        return (value,) * count
    return tuple(value) * count if len(value) == 1 else tuple(value)


MOVES: dict[Any, Move] = {
    aten.convolution: _convolution,
    aten._convolution: _convolution,
    aten.max_pool2d: _max_pool,
    aten.max_pool2d_with_indices: _max_pool,
    aten.max_pool3d: _max_pool,
    aten.max_pool3d_with_indices: _max_pool,
    aten.avg_pool2d: _pool,
    aten.avg_pool3d: _pool,
    aten._adaptive_avg_pool2d: _stretch,
    aten.adaptive_avg_pool2d: _stretch,
    aten.adaptive_max_pool2d: _stretch,
    aten._adaptive_avg_pool3d: _stretch,
    aten.adaptive_avg_pool3d: _stretch,
    aten.adaptive_max_pool3d: _stretch,
    aten.pixel_shuffle: _stretch,
    aten.pixel_unshuffle: _stretch,
    aten.upsample_nearest2d: _stretch,
    aten._upsample_nearest_exact2d: _stretch,
    aten.upsample_bilinear2d: _interpolate,
    aten.upsample_bicubic2d: _interpolate,
    aten._upsample_bilinear2d_aa: _interpolate,
    aten._upsample_bicubic2d_aa: _interpolate,
    aten.constant_pad_nd: _pad,
    aten.reflection_pad2d: _pad,
    aten.replication_pad2d: _pad,
    aten.replication_pad3d: _pad,
    aten.slice: _slice,
    aten.permute: _permute,
    aten.transpose: _transpose,
}
"""What each operation does to the cells; all others leave them where they are, or lose them by changing the size."""
ANY_ORDER = {aten.slice, aten.permute, aten.transpose, aten.constant_pad_nd}
"""Operations that also act on tensors with channels last."""

_known: WeakKeyDictionary[nn.Module, dict[tuple[str, Cells], Field | None]] = WeakKeyDictionary()


@runtime_checkable
class Lookup(Protocol):
    """Where a call's cells lie. dims: the cells of an output with as many dimensions as the input. grid: of a sequence
    of tokens.
    """

    def __call__(
        self, name: str, output: Tensor, *, dims: tuple[int, ...] | None = None, grid: Cells | None = None
    ) -> Field | None: ...


@contextmanager
def following(model: nn.Module, source: Tensor, names: Sequence[str]) -> Iterator[Lookup]:
    """A forward pass inside of this says where the cells of layers lie: a :class:`Lookup` for afterwards.

    The first pass of a model is followed, which costs some microseconds an operation; what it said is remembered per
    layer and input size, because a model's operations do not change from picture to picture.

    Args:
        source: (b, c, h, w), or (b, t, c, h, w) of clips: the very tensor that the model is fed.
        names: of the calls that will be asked for.
    """
    size = tuple(int(source.shape[d]) for d in source_dims(source))
    known = _known.setdefault(model, {})
    if all((name, size) in known for name in names):
        yield lambda name, output, *, dims=None, grid=None: known[name, size]
        return
    follower = Follower(source)

    def lookup(
        name: str, output: Tensor, *, dims: tuple[int, ...] | None = None, grid: Cells | None = None
    ) -> Field | None:
        whole = output.ndim == source.ndim
        field = follower.of(output, dims) if whole else follower.of_size(grid) if grid else None
        cells = grid or (0,) * len(size) if not whole or field is None else field.size_in(output)
        known[name, size] = field if field is not None and _spans(field, cells, size) else None
        return known[name, size]

    with follower:
        yield lookup


def followed_dims(model: nn.Module, name: str, size: Cells) -> tuple[int, ...] | None:
    """Which dimensions of a layer's output are cells, if the last pass over an input of that size followed it all the
    way.

    Args:
        name: the layer, whichever of its calls.
        size: of the input: (h, w), or (frames, h, w) of clips.
    """
    for (call, of), field in _known.get(model, {}).items():
        if of == size and field is not None and field.followed and call.rpartition("@")[0] == name:
            return field.dims
    return None


def _spans(field: Field, cells: Cells, size: Cells) -> bool:
    """Whether cells there cover the input but for a few at the border: otherwise something was mistaken for them."""
    return all(
        -2.5 * a.stride <= a.first <= 2.5 * a.stride and abs(a.first + (n - 0.5) * a.stride - have) <= 3.5 * a.stride
        for a, n, have in zip(field.axes, cells, size, strict=True)
    )
