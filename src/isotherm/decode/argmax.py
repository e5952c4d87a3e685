"""The largest cell, and the quarter of a cell towards its larger neighbour."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.decode.reading import Maps, read_maps
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.jax.argmax import argmax as jax_argmax
from isotherm.ops.arrays import also_arrays
from isotherm.ops.flatness import height
from isotherm.points import Points

ANY: tuple[Kind, ...] = ("peak", "probability", "logits", "relevance")


@also_arrays(jax_argmax)
def argmax(
    maps: Heatmap | Float[Tensor, "*b n h w"], frame: Frame | None = None, *, kind: Kind | None = None
) -> Points:
    """Decode maps by the centre of their largest cell; the first one of equals.

    Args:
        maps: of any kind, a Heatmap or values (*batch, n, h, w) in a tensor, a NumPy or a JAX array.
        frame: of plain values; left out, points come out in cells.
        kind: of plain values.

    Returns:
        Points in source pixels; of NumPy or JAX arrays :class:`isotherm.arrays.Decoded`, the same as arrays.
        ``covariance``: of rounding alone, 1/12 cell squared per axis; what noise does is not in
        it. ``score``: the largest value above the smallest of the first and the last row, and at most itself: the
        largest value of a map whose other cells are 0 or below, 0 of a flat one.

    Example:
        >>> argmax(torch.tensor([[[0.0, 0.1, 0.2], [0.0, 0.3, 0.9]]])).xy.tolist()
        [[2.5, 1.5]]
    """
    read = read_maps(maps, frame, kinds=ANY, kind=kind)
    top, cell = largest(read.values)
    return read.decoded(cell + 0.5, rounding(read, 1.0), height(read.values, top), valid=torch.isfinite(top))


def quarter_offset(
    maps: Heatmap | Float[Tensor, "*b n h w"], frame: Frame | None = None, *, kind: Kind | None = None
) -> Points:
    """Decode maps by their largest cell, moved a quarter of a cell towards the larger of its neighbours along each
    axis.

    For parity with published results; a cell at the border has one neighbour only and is not moved along that axis.

    Args:
        maps: of any kind, a Heatmap or values (*batch, n, h, w).
        frame: of plain values; left out, points come out in cells.
        kind: of plain values.

    Returns:
        Points in source pixels. ``covariance``: of rounding to half a cell alone, 1/48 cell squared per axis.
        ``score``: as of :func:`argmax`.

    Source: Newell et al., "Stacked Hourglass Networks", ECCV 2016, section 3.3; mmpose's ``refine_keypoints`` leaves
    out cell 1 of every axis too, without need.
    """
    read = read_maps(maps, frame, kinds=ANY, kind=kind)
    top, cell = largest(read.values)
    h, w = read.frame.size
    x, y = cell.long().unbind(-1)
    dx = value_at(read.values, x + 1, y) - value_at(read.values, x - 1, y)
    dy = value_at(read.values, x, y + 1) - value_at(read.values, x, y - 1)
    moved = torch.stack([torch.where((x > 0) & (x < w - 1), dx, 0.0), torch.where((y > 0) & (y < h - 1), dy, 0.0)], -1)
    score = height(read.values, top)
    return read.decoded(cell + 0.5 + 0.25 * moved.sign(), rounding(read, 0.5), score, valid=torch.isfinite(top))


def largest(values: Float[Tensor, "*b n h w"]) -> tuple[Float[Tensor, "*b n"], Float[Tensor, "*b n 2"]]:
    """The largest value of every map, and its cell (x, y) as index numbers."""
    # rows first: one search through all cells takes five times as long (measured); ties give the first cell all the
    # same
    values = values.detach()
    top, y = values.amax(-1).max(-1)
    row = values.gather(-2, y[..., None, None].expand(*y.shape, 1, values.shape[-1]))[..., 0, :]
    return top, torch.stack([row.argmax(-1), y], -1).to(values.dtype)


def value_at(
    values: Float[Tensor, "*b n h w"], x: Int[Tensor, "*b n"], y: Int[Tensor, "*b n"]
) -> Float[Tensor, "*b n"]:
    """Values of one cell per map; a cell outside gives its nearest one's."""
    h, w = values.shape[-2:]
    return values.flatten(-2).gather(-1, (y.clamp(0, h - 1) * w + x.clamp(0, w - 1))[..., None])[..., 0]


def rounding(read: Maps, step: float) -> Float[Tensor, "*b n 2 2"]:
    """Covariance of a place rounded to multiples of ``step`` cells."""
    eye = torch.eye(2, dtype=read.values.dtype, device=read.values.device)
    return (eye * step**2 / 12).expand(*read.values.shape[:-2], 2, 2)
