"""What each operation does to cells whose places are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from isotherm.cam.fields import MIDDLE, Axis, Field
from isotherm.cam.kernels import energy_centres

aten = torch.ops.aten

Move = Callable[[Field, Tensor, Tensor, Sequence[Any]], Field | None]


def _convolution(f: Field, _x: Tensor, _out: Tensor, args: Sequence[Any], *, weighed: bool = False) -> Field:
    kernel, n = args[1].shape[2:], len(f.axes)
    stride, padding, dilation = (_each(value, n) for value in args[3:6])
    centres = energy_centres(args[1]) if weighed else (MIDDLE,) * n
    return f.moved(Axis.spread if args[6] else Axis.windows, kernel, stride, padding, dilation, centres)


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
WEIGHED: dict[Any, Move] = dict.fromkeys((aten.convolution, aten._convolution), partial(_convolution, weighed=True))
"""What convolutions do, by their weights too."""
ANY_ORDER = {aten.slice, aten.permute, aten.transpose, aten.constant_pad_nd}
"""Operations that also act on tensors with channels last."""
REGROUPS = {aten.view, aten._unsafe_view, aten.reshape}
"""Operations that may make pictures of the frames of a clip, and frames of pictures."""
