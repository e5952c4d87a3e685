"""A picture with its boxes beside its heatmap."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from isotherm.draw.picture import Picture
from isotherm.heatmap import Kind
from isotherm.systems.bridgevla.figures.sheet import Marks, Panel, check_colours, map_panel, overlay_panel, sheet
from isotherm.systems.bridgevla.reading import shown_boxes, shown_heatmap, shown_picture
from isotherm.targets.annotation import BoxFormat


def visualize_bboxes_and_heatmap(
    image: Picture,
    bboxes_norm: Sequence[Sequence[float]] | Tensor,
    heatmap_tensor: Tensor | np.ndarray,
    save_path: str | os.PathLike[str] | None = None,
    bbox_colors: Sequence[str] = ("red", "lime", "cyan", "yellow"),
    bbox_width: float = 2,
    heatmap_alpha: float | None = None,
    colormap: str | None = None,
    title: str | None = None,
    *,
    box_format: BoxFormat = "cxcywh",
    kind: Kind | None = None,
) -> Any:
    """The picture with its boxes, the map alone, and the map over the picture with the boxes.

    Args:
        image: PIL of any mode, or an array.
        bboxes_norm: four numbers a box, from 0 to 1 over the picture's extent.
        heatmap_tensor: (H, W) or (1, H, W), logits or probabilities.
        save_path, heatmap_alpha, colormap, title, kind: as of
            :func:`isotherm.systems.bridgevla.visualize_points_and_heatmap`.
        bbox_colors: one after the other and then again.
        bbox_width: of the lines, in pixels of a figure of 72 per inch.
        box_format: centre and extent, as users of this function have them, or another of
            :data:`isotherm.targets.annotation.BoxFormat`.

    Returns:
        The matplotlib Figure; nothing stays open.

    Raises:
        ShapeError: several maps, boxes that are none, something that is no picture.
        OptionError: another box format, or a colour that matplotlib does not know.
        InputError: a file that cannot be written.
    """
    check_colours(bbox_colors)
    picture = shown_picture(image)
    drawn = shown_heatmap(heatmap_tensor, picture, kind=kind)
    marks = Marks(boxes=shown_boxes(bboxes_norm, picture, box_format), colours=bbox_colors, width=bbox_width)
    row = [
        Panel(picture, "picture", marks=marks),
        map_panel(drawn, "heatmap", colormap=colormap),
        overlay_panel(drawn, picture, "overlay", colormap=colormap, alpha=heatmap_alpha, bar=False, marks=marks),
    ]
    return sheet([row], title=title, save_path=save_path)
