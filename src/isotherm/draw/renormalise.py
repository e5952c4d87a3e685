"""A map within boxes alone, each box by its own maximum: how detectors' maps are often shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from isotherm.draw.boxes import as_boxes
from isotherm.draw.overlay import single
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap


def renormalise_in_boxes(heatmap: Heatmap, boxes: Tensor | np.ndarray | Sequence[Sequence[float]]) -> Heatmap:
    """The map on the picture's own pixels, from 0 to 1 in each box by the box's own maximum, and 0 outside of all
    boxes.

    For looking only: values of different boxes can no longer be compared, and a box with next to no evidence is as
    bright as any other. Negative values become 0. Where boxes overlap the larger value counts. A box without a positive
    value, or outside of what the map covers, stays 0.

    Args:
        heatmap: a single map, of the kinds "relevance" or "peak".
        boxes: (n, 4) x0, y0, x1, y1 in source pixels, edge-origin; pixels whose centres lie within count. Boxes may
            reach beyond the picture.

    Returns:
        A heatmap with a cell for every pixel of the source picture.

    Raises:
        ShapeError: a heatmap of several maps, or boxes of another shape.

    Example:
        >>> heatmap = Heatmap(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), Frame.resize((1, 4), (1, 4)), "relevance")
        >>> renormalise_in_boxes(heatmap, [(0, 0, 2, 1), (2, 0, 3, 1)]).values.tolist()
        [[0.5, 1.0, 1.0, 0.0]]
    """
    single(heatmap)
    values = heatmap.at_source().nan_to_num(nan=0.0).clamp(min=0)
    h, w = values.shape
    out = torch.zeros_like(values)
    for x0, y0, x1, y1 in as_boxes(boxes).tolist():
        # the first and the last pixel whose centre, at half a pixel, lies within
        left, right = (min(max(int(np.ceil(x - 0.5)), 0), w) for x in (x0, x1))
        top, bottom = (min(max(int(np.ceil(y - 0.5)), 0), h) for y in (y0, y1))
        part = values[top:bottom, left:right]
        if part.numel() and float(part.max()) > 0:
            here = out[top:bottom, left:right]
            torch.maximum(here, part / part.max(), out=here)
    return heatmap.with_(values=out, frame=Frame.resize((h, w), (h, w)), signed=False)
