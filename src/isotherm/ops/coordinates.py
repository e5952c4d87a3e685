"""Named converters between isotherm's edge-origin coordinates and the other conventions in use.

In edge-origin coordinates the centre of pixel i is i + 0.5 and a raster of width w spans [0, w].
Every function takes (..., 2) points (x, y) and is differentiable; ``size`` is (h, w).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.frame import Size


def _wh(size: Size, like: Tensor) -> Tensor:
    return torch.tensor([size[1], size[0]], dtype=like.dtype, device=like.device)


def index_to_edge(points: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
    """Index coordinates (pixel i is at i: COCO keypoints, OpenCV, mmpose) -> edge-origin."""
    return points + 0.5


def edge_to_index(points: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
    """Edge-origin -> index coordinates (pixel i is at i)."""
    return points - 0.5


def normalised_to_edge(points: Float[Tensor, "*b 2"], size: Size) -> Float[Tensor, "*b 2"]:
    """[0, 1] over the raster's extent (YOLO labels, DETR boxes) -> edge-origin."""
    return points * _wh(size, points)


def edge_to_normalised(points: Float[Tensor, "*b 2"], size: Size) -> Float[Tensor, "*b 2"]:
    """Edge-origin -> [0, 1] over the raster's extent."""
    return points / _wh(size, points)


def grid_sample_to_edge(points: Float[Tensor, "*b 2"], size: Size) -> Float[Tensor, "*b 2"]:
    """[-1, 1] of ``grid_sample(align_corners=False)`` -> edge-origin."""
    return (points + 1) / 2 * _wh(size, points)


def edge_to_grid_sample(points: Float[Tensor, "*b 2"], size: Size) -> Float[Tensor, "*b 2"]:
    """Edge-origin -> [-1, 1] of ``grid_sample(align_corners=False)``."""
    return points / _wh(size, points) * 2 - 1


def align_corners_to_edge(points: Float[Tensor, "*b 2"], size: Size) -> Float[Tensor, "*b 2"]:
    """[-1, 1] of ``align_corners=True`` (-1 and 1 are the centres of the outer pixels) -> edge-origin."""
    return (points + 1) / 2 * (_wh(size, points) - 1) + 0.5


def edge_to_align_corners(points: Float[Tensor, "*b 2"], size: Size) -> Float[Tensor, "*b 2"]:
    """Edge-origin -> [-1, 1] of ``align_corners=True``. Raises ZeroDivisionError nowhere: a side of 1 gives inf."""
    return (points - 0.5) / (_wh(size, points) - 1) * 2 - 1


def udp_to_edge(points: Float[Tensor, "*b 2"], size: Size, source_size: Size) -> Float[Tensor, "*b 2"]:
    """mmpose UDP map coordinates of a raster ``size`` over ``source_size`` -> edge-origin *source* pixels.

    UDP aligns the centres of the corner pixels: x_source = x (W - 1) / (w - 1) in index coordinates
    (Huang et al., "The Devil is in the Details", CVPR 2020).
    """
    return points * ((_wh(source_size, points) - 1) / (_wh(size, points) - 1)) + 0.5
