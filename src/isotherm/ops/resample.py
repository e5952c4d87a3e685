"""Maps through frames: from cells to source pixels or to the cells of any other frame.

Bilinear with half-pixel centres, what ``F.interpolate(align_corners=False)`` and ``cv2.resize`` compute
(they agree to 1e-7), extended to any affine. Upright frames, nearly all of them, are two small matrix
products: a 20x20 map over 12 megapixels costs tens of milliseconds, and nothing is ever blown up twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size, compose_affine
from isotherm.ops.names import known_word

Outside = Literal["zero", "edge", "nan"]


def interpolation_matrix(
    positions: Float[Tensor, " n"], length: int, *, outside: Outside, limits: tuple[float, float] | None = None
) -> Float[Tensor, "n {length}"]:
    """Linear-interpolation weights that read ``positions`` (edge-origin) from a row of ``length`` cells.

    Beyond the outermost cell's centre its value continues; beyond ``limits`` (the row's own edges unless given)
    ``outside`` says.
    """
    index = (positions - 0.5).clamp(0, length - 1)
    low = index.floor().clamp(max=max(length - 2, 0))
    weight_high = index - low
    rows = torch.arange(len(positions), device=positions.device)
    matrix = positions.new_zeros(len(positions), length)
    matrix[rows, low.long()] = 1 - weight_high
    if length > 1:
        matrix[rows, low.long() + 1] += weight_high
    if outside != "edge":
        low_limit, high_limit = limits or (0, length)
        matrix = matrix * ((positions >= low_limit) & (positions <= high_limit)).to(matrix.dtype)[:, None]
    return matrix


def to_frame(
    values: Float[Tensor, "*b h w"],
    frame: Frame,
    target: Frame,
    *,
    outside: Outside = "zero",
    mode: Literal["bilinear", "nearest"] = "bilinear",
) -> Float[Tensor, "*b H W"]:
    """The values of ``frame`` read at the cell centres of ``target``, over the same source pictures.

    Args:
        values: (*batch, h, w), ``frame.size == (h, w)``.
        frame, target: each single, or batched as the values are or as the first of their dimensions.
        outside: what a cell of ``target`` outside of ``frame`` and its margin gets: 0, the nearest cell's value, or
            NaN.
        mode: bilinear, or the value of the cell that contains the centre. Bilinear passes over cells that are not
            finite: a centre in such a cell gets NaN, its neighbours the mean of the finite cells around them.

    Returns:
        (*batch, H, W) with ``target.size == (H, W)``, dtype and device of ``values``; differentiable in them.
    """
    known_word(outside, get_args(Outside), "outside")
    known_word(mode, ("bilinear", "nearest"), "mode")
    if tuple(values.shape[-2:]) != frame.size:
        raise ShapeError(f"values have shape {tuple(values.shape)}; the frame has {frame.size} cells")
    known = torch.isfinite(values)
    if mode == "bilinear" and not bool(known.all()):
        return _around_gaps(values, known, frame, target, outside)
    # target cells -> source -> frame cells
    matrix = compose_affine(frame.from_source.cpu(), target.to_source.cpu())
    batch = matrix.shape[:-2]
    if tuple(batch) != tuple(values.shape[:-2][: len(batch)]):
        if len(batch) == 1 and batch[0] == 1:
            matrix = matrix[0]
        else:
            raise ShapeError(f"frames have batch {tuple(batch)}; values have {tuple(values.shape)}")
    if matrix.ndim == 3 and bool((matrix == matrix[:1]).all()):
        matrix = matrix[0]  # one geometry for the whole batch: one pair of matrices
    if matrix.ndim == 2:
        return _resample(values, matrix, target.size, frame.limits, outside, mode)
    flat = values.reshape(-1, *values.shape[len(batch) :])
    maps = [
        _resample(v, m, target.size, frame.limits, outside, mode)
        for v, m in zip(flat, matrix.reshape(-1, 2, 3), strict=True)
    ]
    return torch.stack(maps).reshape(*values.shape[:-2], *target.size)


def _around_gaps(
    values: Float[Tensor, "*b h w"], known: Bool[Tensor, "*b h w"], frame: Frame, target: Frame, outside: Outside
) -> Float[Tensor, "*b H W"]:
    """Normalised interpolation; 0 times NaN is NaN, so a matrix product would spread one gap over rows and columns."""
    there = known.to(values.dtype)
    weight = to_frame(there, frame, target, outside="edge")
    filled = to_frame(torch.where(known, values, 0.0), frame, target, outside="edge") / weight
    filled = filled.masked_fill(to_frame(there, frame, target, outside="edge", mode="nearest") == 0, torch.nan)
    if outside == "edge":
        return filled
    on = to_frame(torch.ones_like(there), frame, target, outside="zero", mode="nearest") > 0
    return filled.masked_fill(~on, 0.0 if outside == "zero" else torch.nan)


def to_source(
    values: Float[Tensor, "*b h w"], frame: Frame, *, size: Size | None = None, outside: Outside = "zero"
) -> Float[Tensor, "*b H W"]:
    """The values over the source picture itself, (*batch, H, W); ``size`` asks for another raster over it."""
    return to_frame(values, frame, source_raster(frame, size), outside=outside)


def on_picture(
    values: Float[Tensor, "*b h w"],
    frame: Frame,
    *,
    size: Size | None,
    region: Sequence[float] | None,
    outside: Literal["nan", "edge"],
) -> Float[Tensor, "*b H W"]:
    """The values over the picture or a part of it; of :meth:`isotherm.Heatmap.at_source`, which says what the arguments
    are.
    """
    known_word(outside, ("nan", "edge"), "outside")
    picture = source_raster(frame)
    if region is None:
        return to_frame(values, frame, source_raster(frame, size), outside=outside)
    x0, y0, x1, y1 = _box(region)
    rows, columns = size or (max(1, round(y1 - y0)), max(1, round(x1 - x0)))
    to_picture = torch.tensor([[(x1 - x0) / columns, 0, x0], [0, (y1 - y0) / rows, y0]], dtype=torch.float64)
    target = picture.warped(to_picture, (rows, columns))
    out = to_frame(values, frame, target, outside=outside)
    if outside == "edge":
        return out
    h, w = picture.size
    centres = torch.stack(
        torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in target.size), indexing="ij")[::-1], -1
    )
    x, y = target.points_to_source(centres.reshape(-1, 2)).reshape(*target.size, 2).unbind(-1)
    beyond = (x < 0) | (x > w) | (y < 0) | (y > h)
    return out.masked_fill(beyond.to(out.device), torch.nan)


def _box(region: Sequence[float]) -> tuple[float, float, float, float]:
    numbers = [float(number) for number in region]
    if (
        len(numbers) != 4
        or not all(map(math.isfinite, numbers))
        or numbers[0] >= numbers[2]
        or numbers[1] >= numbers[3]
    ):
        raise OptionError(
            f"region is {tuple(numbers)}; expected (x0, y0, x1, y1) in source pixels with x0 below x1 and y0 below y1"
        )
    return numbers[0], numbers[1], numbers[2], numbers[3]


def seen(frame: Frame, size: Size | None = None) -> Bool[Tensor, "*b H W"]:
    """Which source pixels the frame covers at all: crops and letterboxes leave some unseen."""
    ones = torch.ones(*frame.batch_shape, *frame.size)
    return to_frame(ones, frame, source_raster(frame, size), outside="zero", mode="nearest") > 0


def source_raster(frame: Frame, size: Size | None = None) -> Frame:
    """The frame of the source pictures themselves, or of another raster over them; they must be of one size."""
    sizes = {tuple(s) for s in frame.source_size.reshape(-1, 2).tolist()}
    if len(sizes) > 1:
        raise ShapeError(f"the source pictures have different sizes {sorted(sizes)}; go to the source one at a time")
    source = Frame.identity(sizes.pop())
    return source if size is None else source.resized(size)


def _resample(
    values: Tensor, matrix: Tensor, size: Size, limits: tuple[float, float, float, float], outside: Outside, mode: str
) -> Tensor:
    h, w = values.shape[-2:]
    x0, y0, x1, y1 = limits
    dtype = torch.promote_types(values.dtype, torch.float32)
    if float(matrix[0, 1]) == 0 and float(matrix[1, 0]) == 0:
        # positions in float64: at 12 megapixels float32 is off by a thousandth of a cell
        x = (torch.arange(size[1], dtype=torch.float64) + 0.5) * matrix[0, 0] + matrix[0, 2]
        y = (torch.arange(size[0], dtype=torch.float64) + 0.5) * matrix[1, 1] + matrix[1, 2]
        if mode == "nearest":
            columns, rows = x.floor().clamp(0, w - 1).long(), y.floor().clamp(0, h - 1).long()
            out = values[..., rows.to(values.device)[:, None], columns.to(values.device)]
            if outside == "zero":
                inside = ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))
                out = torch.where(inside.to(out.device), out, torch.zeros_like(out))
        else:
            beyond: Outside = "edge" if outside == "nan" else outside
            rows_m = interpolation_matrix(y, h, outside=beyond, limits=(y0, y1)).to(values.device, dtype)
            columns_m = interpolation_matrix(x, w, outside=beyond, limits=(x0, x1)).to(values.device, dtype)
            out = (rows_m @ values.to(dtype)) @ columns_m.T
        if outside == "nan":
            inside = ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))
            out = out.masked_fill(~inside.to(out.device), torch.nan)
        return out.to(values.dtype)
    # any affine: grid_sample reads normalised edge-origin coordinates
    ys, xs = torch.meshgrid(
        torch.arange(size[0], dtype=torch.float64) + 0.5,
        torch.arange(size[1], dtype=torch.float64) + 0.5,
        indexing="ij",
    )
    cells = torch.stack([xs, ys], -1) @ matrix[:, :2].T + matrix[:, 2]
    grid = (cells / torch.tensor([w, h], dtype=torch.float64) * 2 - 1).to(values.device, dtype)
    flat = values.to(dtype).reshape(1, -1, h, w)
    out = F.grid_sample(flat, grid[None], mode=mode, padding_mode="border", align_corners=False)
    out = out.reshape(*values.shape[:-2], *size)
    if outside != "edge":
        start, stop = torch.tensor([[x0, y0], [x1, y1]], dtype=torch.float64)
        inside = ((cells >= start) & (cells <= stop)).all(-1).to(out.device)
        out = out.masked_fill(~inside, 0.0 if outside == "zero" else torch.nan)
    return out.to(values.dtype)
