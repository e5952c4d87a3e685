"""What the target-free losses read: which maps take part, and where their Gaussians lie in cells."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size
from isotherm.ops.gaussian import Sigma, sigma_per_axis
from isotherm.ops.place import OffFrame, place, placed
from isotherm.points import Points, State


class Labels(NamedTuple):
    """Points beside the maps that shall show them.

    Args:
        cells: (*batch, n, 2) (x, y) in cells, finite everywhere.
        sigma: (*batch, n, 2) in cells, along x and y.
        active: (*batch, n) whether a map takes part.
        shown: (*batch, n) whether its target is more than zeros.
    """

    cells: Float[Tensor, "*b n 2"]
    sigma: Float[Tensor, "*b n 2"]
    active: Bool[Tensor, "*b n"]
    shown: Bool[Tensor, "*b n"]


def read_labels(
    maps: Float[Tensor, "*b n h w"],
    points: Points | Float[Tensor, "*b n 2"],
    frame: Frame | Size | None,
    *,
    sigma_cells: Sigma,
    state: Int[Tensor, "*b n"] | None,
    off_frame: OffFrame,
) -> Labels:
    """Points in source pixels -> labels in cells, in the precision that the loss computes in.

    Raises:
        ShapeError: maps, points, frame or states that do not fit one another.
        OptionError: sigma or policy.
    """
    size = expect_maps(maps)
    xy = points.xy if isinstance(points, Points) else placed(points)
    if tuple(maps.shape[:-2]) != tuple(xy.shape[:-1]):
        raise ShapeError(
            f"maps have shape {tuple(maps.shape)}, points {tuple(xy.shape)}; expected (*batch, n, h, w) and (*batch, n, 2), one map per point"
        )
    if frame is not None and tuple(frame.size if isinstance(frame, Frame) else frame) != size:
        size_read = tuple(frame.size if isinstance(frame, Frame) else frame)
        raise ShapeError(
            f"the frame has {size_read} cells, the maps {size}; give the frame of the maps, such as frame.to_grid(stride=4)"
        )
    at = place(points, frame if frame is not None else size, state=state, off_frame=off_frame)
    cells = at.cells.to(computing(maps))
    return Labels(cells, sigma_per_axis(sigma_cells, cells), at.state != int(State.UNLABELLED), at.shown)


def expect_maps(maps: Tensor) -> Size:
    """The size (h, w) of maps.

    Raises:
        ShapeError: they are not floating point (*batch, n, h, w), or have no cells.
    """
    if maps.ndim < 3 or not maps.is_floating_point() or 0 in maps.shape[-2:]:
        raise ShapeError(
            f"maps have shape {tuple(maps.shape)} and dtype {maps.dtype}; expected floating point (*batch, n, h, w) with cells"
        )
    return int(maps.shape[-2]), int(maps.shape[-1])


def computing(maps: Tensor) -> torch.dtype:
    """The precision to compute in: that of the maps, and never below float32, in which sums over thousands of cells
    hold.
    """
    return torch.promote_types(maps.dtype, torch.float32)
