"""Masks: how much of every cell they cover."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, compose_affine
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import to_frame
from isotherm.points import State
from isotherm.training_map import TrainingMap


def masks(
    masks: Bool[Tensor, "*b n H W"] | Float[Tensor, "*b n H W"],
    frame: Frame,
    *,
    kind: Literal["peak", "probability"] = "peak",
    state: Int[Tensor, "*b n"] | None = None,
) -> TrainingMap:
    """The share of every cell that a mask covers.

    Args:
        masks: (*batch, n, H, W) over the pixels of the source picture, boolean, or from 0 to 1.
        frame: of the maps, single or batched as the first dimensions of the masks.
        kind: 'peak': the share itself, 1 where a cell is all mask. 'probability': divided by its sum over the map.
        state: (*batch, n) of :class:`isotherm.points.State`; all LABELLED unless given. UNLABELLED and ABSENT masks
            give zeros.

    Returns:
        TrainingMap of (*batch, n, h, w) maps and (*batch, n) states. A mask without a pixel is ABSENT, one with pixels
        of which the frame shows none OUT_OF_FRAME, both with a map of zeros. Differentiable in masks that are numbers.

    Raises:
        ShapeError: masks that are not of the source picture's size, states that do not fit.
        OptionError: another kind, numbers outside of 0 to 1.

    Source: the integral of the mask over the cell, by its area. In upright frames exact, as two small matrix products;
    in turned ones the mean of readings at most half a pixel apart.

    Example:
        >>> picture = torch.tensor([[[True, False, True, True]]])
        >>> masks(picture, Frame.resize((1, 4), (1, 2))).heatmap.values.tolist()
        [[[0.5, 1.0]]]
    """
    if kind not in ("peak", "probability"):
        raise OptionError(f"kind is {kind!r}; expected 'peak' or 'probability'")
    if masks.ndim < 3:
        raise ShapeError(f"masks have shape {tuple(masks.shape)}; expected (*batch, n, H, W)")
    _expect_sizes(masks, frame)
    if state is None:
        state = torch.full(masks.shape[:-2], int(State.LABELLED), device=masks.device)
    if state.shape != masks.shape[:-2]:
        raise ShapeError(
            f"state has shape {tuple(state.shape)}; expected {tuple(masks.shape[:-2])}, one for every mask"
        )
    values = masks.to(torch.promote_types(masks.dtype, torch.float32) if masks.is_floating_point() else torch.float32)
    known = (state != int(State.UNLABELLED)) & (state != int(State.ABSENT))
    values = torch.where(known[..., None, None], values, 0.0)  # a mask that is not known may be NaN
    # written so that NaN is refused too
    if not torch.compiler.is_compiling() and not bool(((values >= 0) & (values <= 1)).all()):
        raise OptionError(
            "a mask has numbers outside of 0 to 1; divide masks of 0 and 255 by 255, or compare them with > 0"
        )
    covered = _covered(values, frame)
    total = covered.sum((-2, -1))
    anything = (values > 0).flatten(-2).any(-1)
    # OUT_OF_FRAME is judged anew, because another crop may show what the last one cut off
    state = torch.where(known & (state == int(State.OUT_OF_FRAME)), int(State.LABELLED), state.long())
    missing = torch.where(anything, int(State.OUT_OF_FRAME), int(State.ABSENT))
    state = torch.where(known & (total == 0), missing, state)
    if kind == "probability":
        covered = covered / torch.where(total > 0, total, 1.0)[..., None, None]
    return TrainingMap(Heatmap(covered, frame, kind), state)


def _expect_sizes(masks: Tensor, frame: Frame) -> None:
    lead = tuple(frame.batch_shape)
    if lead != tuple(masks.shape[:-3][: len(lead)]):
        raise ShapeError(
            f"the frame has batch {lead}, the masks have shape {tuple(masks.shape)}; the frame's batch must be their first dimensions, or empty"
        )
    if not bool((frame.source_size.cpu() == torch.tensor(masks.shape[-2:])).all()):
        raise ShapeError(
            f"masks are {tuple(masks.shape[-2:])} pixels, the frame's source is {frame.source_size.tolist()}; both must be (h, w) of the source picture"
        )


def _covered(values: Tensor, frame: Frame) -> Tensor:
    if not frame.batch_shape:
        return _one(values, frame)
    lead = len(frame.batch_shape)
    flat = values.flatten(0, lead - 1)
    matrices, sizes = frame.to_source.reshape(-1, 2, 3), frame.source_size.reshape(-1, 2)
    if len(flat) == 0:
        return values.new_zeros(*values.shape[:-2], *frame.size)
    maps = [_one(v, Frame(m, frame.size, s)) for v, m, s in zip(flat, matrices, sizes, strict=True)]
    return torch.stack(maps).reshape(*values.shape[:-2], *frame.size)


def _one(values: Tensor, frame: Frame) -> Tensor:
    """The share of every cell of a single frame."""
    size = (int(values.shape[-2]), int(values.shape[-1]))
    if frame.is_upright:
        matrix = frame.to_source.cpu()
        rows = _overlaps(float(matrix[1, 1]), float(matrix[1, 2]), frame.size[0], size[0]).to(values)
        columns = _overlaps(float(matrix[0, 0]), float(matrix[0, 2]), frame.size[1], size[1]).to(values)
        return rows @ values @ columns.T
    # readings at most half a pixel apart
    fine_h, fine_w = (max(1, math.ceil(2 * float(side))) for side in frame.cell_size)
    inner = torch.tensor([[1 / fine_w, 0, 0], [0, 1 / fine_h, 0]], dtype=torch.float64)
    fine = Frame(
        compose_affine(frame.to_source.cpu(), inner),
        (frame.size[0] * fine_h, frame.size[1] * fine_w),
        frame.source_size.cpu(),
    )
    read = to_frame(values, Frame.identity(size), fine, mode="nearest")
    return F.avg_pool2d(read.reshape(-1, 1, *fine.size), (fine_h, fine_w)).reshape(*values.shape[:-2], *frame.size)


def _overlaps(scale: float, shift: float, cells: int, pixels: int) -> Tensor:
    """(cells, pixels): which part of each cell lies over each pixel, along one axis; less than 1 in all where it sticks
    out.
    """
    edges = torch.arange(cells + 1, dtype=torch.float64) * scale + shift
    low, high = torch.minimum(edges[:-1], edges[1:]), torch.maximum(edges[:-1], edges[1:])
    left = torch.arange(pixels, dtype=torch.float64)
    shared = torch.minimum(high[:, None], left + 1) - torch.maximum(low[:, None], left)
    return shared.clamp(min=0) / abs(scale)
