"""Which level of a colour map every pixel of a picture gets: interpolated floats, a block of rows at a time.

An upright frame interpolates rows and columns apart. The columns are done once; then a block of rows needs only
the few cell rows that it crosses, so a block costs the same whether the map has 20 rows or 2000.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Float64, Int32
from torch import Tensor

from isotherm.draw.colour import LEVELS
from isotherm.draw.scale import Scale
from isotherm.frame import Frame, compose_affine
from isotherm.ops.resample import interpolation_matrix, to_frame

BLOCK_PIXELS = 1 << 18
"""Pixels in a block of rows: its 16-bit copies fill a processor core's second-level cache."""


def level_blocks(
    values: Float[Tensor, "h w"], frame: Frame, scale: Scale, raster: Frame
) -> Iterator[tuple[int, int, Int32[Tensor, "n W"]]]:
    """The map's levels at the pixels of ``raster``, a block of rows at a time: first row, row after the last, levels.

    Level 0 is a pixel that no cell covers, or whose cell is NaN; 1 to 1023 run from ``scale.low`` to ``scale.high``.
    Beside NaN cells the interpolation runs over the cells that have a value.

    Args:
        values: (h, w), ``frame.size == (h, w)``.
        frame: single.
        scale: the values of levels 1 and 1023; an empty one gives level 0 everywhere.
        raster: single, over the same source picture.
    """
    h, w = raster.size
    rows = max(1, BLOCK_PIXELS // w)
    spans = [(y0, min(h, y0 + rows)) for y0 in range(0, h, rows)]
    if scale.is_empty:
        yield from ((y0, y1, torch.zeros(y1 - y0, w, dtype=torch.int32)) for y0, y1 in spans)
        return
    values = values.detach().to("cpu", torch.float32)
    values = values.nan_to_num(nan=torch.nan, posinf=scale.high, neginf=scale.low)
    missing = torch.isnan(values)
    known = ~missing if bool(missing.any()) else None
    values = values.masked_fill(missing, 0.0)  # 0 x NaN would spread over a whole row in a matrix product
    upright = frame.is_upright and raster.is_upright
    blocks = _upright(values, known, frame, raster, spans) if upright else _any(values, known, frame, raster, spans)
    for (y0, y1), (block, seen) in zip(spans, blocks, strict=True):
        block.sub_(scale.low).mul_((LEVELS - 1) / (scale.high - scale.low)).clamp_(0, LEVELS - 1).add_(1.5)
        levels = block.to(torch.int32)
        yield y0, y1, levels if seen is None else levels.mul_(seen)


Blocks = Iterator[tuple[Float[Tensor, "n W"], Bool[Tensor, "n W"] | None]]


def _upright(values: Tensor, known: Tensor | None, frame: Frame, raster: Frame, spans: list[tuple[int, int]]) -> Blocks:
    matrix = compose_affine(frame.from_source, raster.to_source)
    y, inside_y, rows = _axis(matrix[1, 1], matrix[1, 2], raster.size[0], frame.size[0])
    x, inside_x, columns = _axis(matrix[0, 0], matrix[0, 2], raster.size[1], frame.size[1])
    covered = bool(inside_y.all() and inside_x.all())
    strip = values @ columns.T
    if known is not None:
        weights = known.float() @ columns.T
        known_rows = known[:, x.floor().clamp(0, frame.size[1] - 1).long()]
        nearest = y.floor().clamp(0, frame.size[0] - 1).long()
    for y0, y1 in spans:
        used = rows[y0:y1].any(0).nonzero()
        cells = slice(int(used[0]), int(used[-1]) + 1)
        block = rows[y0:y1, cells] @ strip[cells]
        seen = None if covered else inside_y[y0:y1, None] & inside_x
        if known is not None:
            weight = rows[y0:y1, cells] @ weights[cells]
            block = torch.where(weight > 0, block / weight, 0.0)
            held = known_rows[nearest[y0:y1]]
            seen = held if seen is None else held & seen
        yield block, seen


def _axis(
    step: Tensor, start: Tensor, pixels: int, cells: int
) -> tuple[Float64[Tensor, n], Bool[Tensor, n], Float[Tensor, "n c"]]:
    # positions in float64: at 12 megapixels float32 is off by a thousandth of a cell
    at = (torch.arange(pixels, dtype=torch.float64) + 0.5) * step + start
    return at, (at >= 0) & (at <= cells), interpolation_matrix(at, cells, outside="edge").float()


def _any(values: Tensor, known: Tensor | None, frame: Frame, raster: Frame, spans: list[tuple[int, int]]) -> Blocks:
    ones = torch.ones(frame.size) if known is None else known.float()
    for y0, y1 in spans:
        part = raster.cropped((0, y0, raster.size[1], y1))
        block = to_frame(values, frame, part, outside="edge")
        if known is not None:
            weight = to_frame(ones, frame, part, outside="edge")
            block = torch.where(weight > 0, block / weight, 0.0)
        yield block, to_frame(ones, frame, part, outside="zero", mode="nearest") > 0

