"""The features at points: what a head for rotation, gripper or grasp reads at the place that a heatmap means."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.ops.coordinates import edge_to_grid_sample
from isotherm.ops.tensors import check_tensors
from isotherm.points import Points


def sample_features(
    features: Float[Tensor, "b c h w"], points: Float[Tensor, "b n 2"], frame: Frame | None = None
) -> Float[Tensor, "b n c"]:
    """Features at points, by bilinear interpolation between the centres of the cells.

    Args:
        features: (b, c, h, w).
        points: (b, n, 2) (x, y) in source pixels, edge-origin; beyond the outermost centres the outermost cells
            continue. A point that is not finite is none, and its features are NaN: leave it out of a loss, whose
            gradient is 0 there.
        frame: of the features, single or one per picture; without one the points are in cells.

    Returns:
        (b, n, c), differentiable in both.

    Raises:
        ShapeError: no tensors, not of the shapes above, points of another number of pictures, or a frame of another
            grid.

    Example:
        >>> features = torch.tensor([[[[0.0, 1.0, 2.0]]]])  # cells of 14 x 14 pixels, with their centres at 7, 21 and 35
        >>> frame = Frame.identity((14, 42)).to_grid(stride=14)
        >>> points = torch.tensor([[[7.0, 7.0], [28.0, 7.0], [41.0, 7.0]]])
        >>> sample_features(features, points, frame).flatten().round(decimals=5).tolist()
        [0.0, 1.5, 2.0]
    """
    check_tensors(features=features, points=points)
    if features.ndim != 4 or points.ndim != 3 or points.shape[-1] != 2:
        raise ShapeError(
            f"features have shape {tuple(features.shape)} and points {tuple(points.shape)}; expected (b, c, h, w) and (b, n, 2)"
        )
    size = (features.shape[-2], features.shape[-1])
    if len(points) != len(features):
        raise ShapeError(
            f"there are points of {len(points)} pictures for features of {len(features)}; expected as many"
        )
    if frame is not None and frame.size != size:
        raise ShapeError(
            f"the features have {size} cells, the frame {frame.size}; give the frame of the features' grid"
        )
    there = torch.isfinite(points).all(-1, keepdim=True)
    # in place of what is no point stands one that has a gradient, which the last line then leaves out
    points = torch.where(there, points, 0.0)
    cells = points if frame is None else Points(points).to_cells(frame).xy
    grid = edge_to_grid_sample(cells.to(features), size)
    sampled = F.grid_sample(features, grid[:, None], mode="bilinear", padding_mode="border", align_corners=False)
    return torch.where(there.to(sampled.device), sampled[:, :, 0].transpose(1, 2), torch.nan)
