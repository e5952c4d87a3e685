"""Where a layer's cells lie over the input: the centre of each cell's receptive field, from the operations themselves.

A 3x3 convolution with stride 2 and padding 1 centres its output cell i on input cell 2i, not on 2i + 1/2 where an even
split of the input would put it. Five of them in a row leave cells that lie half a cell, 15.5 pixels of 32, above and to
the left of where tools that stretch the map over the picture draw them. Araujo, Norris and Sim, "Computing Receptive
Fields of Convolutional Neural Networks", Distill 2019, give the recurrences; here they follow every operation of one
forward pass, so any network is served, whatever its modules are called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from isotherm.frame import Size

aten = torch.ops.aten


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
        dims: which dimensions of the tensor are rows and columns.
        followed: from the input to this very tensor, so that its dimensions are known; False where a grid of the same size spoke for it.
    """

    y: Axis
    x: Axis
    dims: tuple[int, int] = (2, 3)
    followed: bool = True

    @property
    def first(self) -> tuple[float, float]:
        """(y, x) of the first cell's centre in input pixels."""
        return self.y.first, self.x.first

    @property
    def stride(self) -> tuple[float, float]:
        """(y, x) between cells in input pixels."""
        return self.y.stride, self.x.stride

    def size_in(self, tensor: Tensor) -> Size:
        return tensor.shape[self.dims[0]], tensor.shape[self.dims[1]]


class Follower(TorchDispatchMode):
    """While active, follows cells from a model's input through every operation that moves them.

    Where branches meet that disagree (a pooled shortcut beside a strided convolution), cells lie at their mean. What a
    branch pooled to a single cell adds has no place and counts for nothing. Operations that regroup cells (windows of
    attention) lose them for a while; a map of the same size finds its cells again.
    """

    def __init__(self, source: Tensor) -> None:
        super().__init__()
        self._fields: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._by_size: dict[Size, Field | None] = {}
        self._set(source, Field(Axis(0.5, 1.0), Axis(0.5, 1.0)))

    def of(self, tensor: Tensor, dims: tuple[int, int] = (2, 3)) -> Field | None:
        """Where the cells of a 4-dimensional tensor lie, or None where that was lost on the way.

        Args:
            dims: which of its dimensions are rows and columns, should the tensor itself have been lost sight of.
        """
        if tensor in self._fields:
            return self._fields[tensor]
        return self.of_size((tensor.shape[dims[0]], tensor.shape[dims[1]]), dims)

    def of_size(self, size: Size, dims: tuple[int, int] = (2, 3)) -> Field | None:
        """Where the cells of the latest grid of that size lie."""
        if size in self._by_size:
            latest = self._by_size[size]
            return None if latest is None else replace(latest, dims=dims, followed=False)
        h, w = size
        # nothing but regrouping (patch merging by reshape) makes a size that no followed operation made, and it never overlaps
        for (rows, columns), field in reversed(self._by_size.items()):
            if field is not None and rows > h and rows % h == 0 and columns % w == 0 and rows // h == columns // w:
                return Field(field.y.stretched(rows, h), field.x.stretched(columns, w), dims, followed=False)
        return None

    def _set(self, tensor: Tensor, field: Field | None) -> None:
        self._fields[tensor] = field
        size = (tensor.shape[2], tensor.shape[3]) if field is None else field.size_in(tensor)
        if size != (1, 1):
            self._by_size.pop(size, None)  # so that the latest comes last
            self._by_size[size] = field

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        rule = MOVES.get(func.overloadpacket)
        if rule is None:
            with self:  # under inference_mode an operation arrives whole that otherwise comes as its steps
                out = func.decompose(*args, **(kwargs or {}))
            if out is not NotImplemented:
                return out
        out = func(*args, **(kwargs or {}))
        inputs = [a for arg in args for a in (arg if isinstance(arg, list | tuple) else [arg]) if isinstance(a, Tensor)]
        for result in out if isinstance(out, list | tuple) else [out]:
            if not isinstance(result, Tensor) or result.ndim != 4:
                continue
            if rule is None:
                field = self._same(inputs, result)
            else:
                before = self._before(inputs[0], func.overloadpacket in ANY_ORDER) if inputs[0].ndim == 4 else None
                field = None if before is None else rule(before, inputs[0], result, args)
            if field is not None or rule is not None:
                self._set(result, field)  # what moves lost cells makes lost cells, and no size speaks for them
        return out

    def _before(self, tensor: Tensor, any_order: bool) -> Field | None:
        """Where the cells of an operation's input lie; what merely cuts or turns it may find its rows and columns first."""
        return self.of(tensor) or (self.of(tensor, (1, 2)) if any_order else None)

    def _same(self, inputs: Sequence[Tensor], result: Tensor) -> Field | None:
        """Operations that move nothing: the mean of the inputs that have a place and the result's size."""
        placed = [(t, self._fields[t]) for t in inputs if self._fields.get(t) is not None]
        fields = [f for t, f in placed if _matches(t, f, result)]
        if not fields:
            return None
        n = len(fields)
        y = Axis(sum(f.y.first for f in fields) / n, sum(f.y.stride for f in fields) / n)
        x = Axis(sum(f.x.first for f in fields) / n, sum(f.x.stride for f in fields) / n)
        return Field(y, x, fields[0].dims, all(f.followed for f in fields))


def _matches(tensor: Tensor, field: Field, result: Tensor) -> bool:
    size = field.size_in(tensor)
    return size != (1, 1) and size == field.size_in(result)


Move = Callable[[Field, Tensor, Tensor, Sequence[Any]], Field | None]


def _convolution(f: Field, _x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field:
    weight, stride, padding, dilation, transposed = args[1], *args[3:7]
    ky, kx = weight.shape[-2:]
    (sy, sx), (py, px), (dy, dx) = _pair(stride), _pair(padding), _pair(dilation)
    if transposed:
        return replace(f, y=f.y.spread(ky, sy, py, dy), x=f.x.spread(kx, sx, px, dx))
    return replace(f, y=f.y.windows(ky, sy, py, dy), x=f.x.windows(kx, sx, px, dx))


def _pool(f: Field, _x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field:
    (ky, kx), (sy, sx) = _pair(args[1]), _pair(args[2] if len(args) > 2 and args[2] else args[1])
    py, px = _pair(args[3]) if len(args) > 3 else (0, 0)
    return replace(f, y=f.y.windows(ky, sy, py), x=f.x.windows(kx, sx, px))


def _max_pool(f: Field, x: Tensor, out: Tensor, args: Sequence[Any]) -> Field:
    dy, dx = _pair(args[4]) if len(args) > 4 else (1, 1)
    (ky, kx) = _pair(args[1])
    return _pool(
        f,
        x,
        out,
        [x, [dy * (ky - 1) + 1, dx * (kx - 1) + 1], args[2] if len(args) > 2 and args[2] else [ky, kx], *args[3:4]],
    )


def _stretch(f: Field, x: Tensor, out: Tensor, args: Sequence[Any], *, align_corners: bool = False) -> Field:
    (h, w), (new_h, new_w) = f.size_in(x), f.size_in(out)
    return replace(
        f,
        y=f.y.stretched(h, new_h, align_corners=align_corners),
        x=f.x.stretched(w, new_w, align_corners=align_corners),
    )


def _interpolate(f: Field, x: Tensor, out: Tensor, args: Sequence[Any]) -> Field:
    return _stretch(f, x, out, args, align_corners=len(args) > 2 and args[2] is True)


def _pad(f: Field, _x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field | None:
    amounts = [*args[1], 0, 0, 0, 0]  # from the last dimension on, before and after
    last = [3 - d for d in f.dims]
    return replace(f, y=f.y.cut(-amounts[2 * last[0]]), x=f.x.cut(-amounts[2 * last[1]]))


def _slice(f: Field, x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field:
    dim, start, step = (
        (*args[1:3], args[4] if len(args) > 4 else 1) if len(args) > 2 else (args[1] if len(args) > 1 else 0, 0, 1)
    )
    length = x.shape[dim]
    start = 0 if start is None else max(0, start + length if start < 0 else start)
    if dim % 4 == f.dims[0]:
        return replace(f, y=f.y.cut(start, step))
    return replace(f, x=f.x.cut(start, step)) if dim % 4 == f.dims[1] else f


def _permute(f: Field, _x: Tensor, _out: Tensor, args: Sequence[Any]) -> Field:
    order = [d % 4 for d in args[1]]
    return replace(f, dims=(order.index(f.dims[0]), order.index(f.dims[1])))


def _transpose(f: Field, x: Tensor, out: Tensor, args: Sequence[Any]) -> Field:
    order = list(range(4))
    a, b = args[1] % 4, args[2] % 4
    order[a], order[b] = b, a
    return _permute(f, x, out, [x, order])


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (value[0], value[0]) if len(value) == 1 else (value[0], value[1])


MOVES: dict[Any, Move] = {
    aten.convolution: _convolution,
    aten._convolution: _convolution,
    aten.max_pool2d: _max_pool,
    aten.max_pool2d_with_indices: _max_pool,
    aten.avg_pool2d: _pool,
    aten._adaptive_avg_pool2d: _stretch,
    aten.adaptive_avg_pool2d: _stretch,
    aten.adaptive_max_pool2d: _stretch,
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
    aten.slice: _slice,
    aten.permute: _permute,
    aten.transpose: _transpose,
}
"""What each operation does to the cells; all others leave them where they are, or lose them by changing the size."""
ANY_ORDER = {aten.slice, aten.permute, aten.transpose, aten.constant_pad_nd}
"""Operations that also act on tensors with channels last."""

_known: WeakKeyDictionary[nn.Module, dict[tuple[str, Size], Field | None]] = WeakKeyDictionary()


@runtime_checkable
class Lookup(Protocol):
    """Where a call's cells lie. dims: rows and columns of an output of 4 dimensions. grid: (h, w) of a sequence of tokens."""

    def __call__(
        self, name: str, output: Tensor, *, dims: tuple[int, int] = (2, 3), grid: Size | None = None
    ) -> Field | None: ...


@contextmanager
def following(model: nn.Module, source: Tensor, names: Sequence[str]) -> Iterator[Lookup]:
    """A forward pass inside of this says where the cells of layers lie: a :class:`Lookup` for afterwards.

    The first pass of a model is followed, which costs some microseconds an operation; what it said is remembered per layer
    and input size, because a model's operations do not change from picture to picture.

    Args:
        source: (b, c, h, w) the very tensor that the model is fed. names: of the calls that will be asked for.
    """
    size = int(source.shape[-2]), int(source.shape[-1])
    known = _known.setdefault(model, {})
    if all((name, size) in known for name in names):
        yield lambda name, output, *, dims=(2, 3), grid=None: known[name, size]
        return
    follower = Follower(source)

    def lookup(name: str, output: Tensor, *, dims: tuple[int, int] = (2, 3), grid: Size | None = None) -> Field | None:
        field = follower.of(output, dims) if output.ndim == 4 else follower.of_size(grid) if grid else None
        cells = grid or (0, 0) if output.ndim != 4 or field is None else field.size_in(output)
        known[name, size] = field if field is not None and _spans(field, cells, size) else None
        return known[name, size]

    with follower:
        yield lookup


def followed_dims(model: nn.Module, name: str, size: Size) -> tuple[int, int] | None:
    """Which dimensions of a layer's output are rows and columns, if the last pass over an input of that size followed it all the way.

    Args:
        name: the layer, whichever of its calls. size: (h, w) of the input.
    """
    for (call, of), field in _known.get(model, {}).items():
        if of == size and field is not None and field.followed and call.rpartition("@")[0] == name:
            return field.dims
    return None


def _spans(field: Field, cells: Size, size: Size) -> bool:
    """Whether cells there cover the input but for a few at the border: otherwise something was mistaken for them."""
    starts = all(-2.5 * s <= a <= 2.5 * s for a, s in zip(field.first, field.stride, strict=True))
    ends = all(
        abs(a + (n - 0.5) * s - have) <= 3.5 * s
        for a, s, n, have in zip(field.first, field.stride, cells, size, strict=True)
    )
    return starts and ends
