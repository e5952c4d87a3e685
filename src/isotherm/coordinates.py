"""Converters between isotherm's edge-origin coordinates and the other conventions in use, each by its name.

Example:
    >>> from isotherm import coordinates
    >>> coordinates.index_to_edge(torch.tensor([[3.0, 4.0]])).tolist()   # of COCO, OpenCV, mmpose
    [[3.5, 4.5]]
"""

from isotherm.ops.coordinates import (
    align_corners_to_edge,
    edge_to_align_corners,
    edge_to_grid_sample,
    edge_to_index,
    edge_to_normalised,
    grid_sample_to_edge,
    index_to_edge,
    normalised_to_edge,
    udp_to_edge,
)

__all__ = [
    "align_corners_to_edge",
    "edge_to_align_corners",
    "edge_to_grid_sample",
    "edge_to_index",
    "edge_to_normalised",
    "grid_sample_to_edge",
    "index_to_edge",
    "normalised_to_edge",
    "udp_to_edge",
]
