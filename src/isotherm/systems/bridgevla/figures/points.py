"""A picture with its points beside its heatmap."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from isotherm.draw.picture import Picture
from isotherm.heatmap import Kind
from isotherm.systems.bridgevla.figures.sheet import Marks, Panel, map_panel, overlay_panel, sheet
from isotherm.systems.bridgevla.reading import shown_heatmap, shown_picture, shown_points


def visualize_points_and_heatmap(
    image: Picture,
    points: Sequence[tuple[float, float]] | Tensor,
    heatmap: Tensor | np.ndarray,
    save_path: str | os.PathLike[str] | None = None,
    point_radius: float = 3,
    heatmap_alpha: float | None = None,
    colormap: str | None = None,
    title: str | None = None,
    *,
    kind: Kind | None = None,
) -> Any:
    """The picture with its points, the map alone, and the map over the picture.

    Args:
        image: PIL of any mode, or an array.
        points: (x, y) from 0 to 1 over the picture's extent.
        heatmap: (H, W) or (1, H, W), logits or probabilities.
        save_path: a file to write; None: none.
        point_radius: of the dots in pixels of a figure of 72 per inch.
        heatmap_alpha, colormap: of the map; None: those of isotherm's style.
        title: above.
        kind: of the map, where its numbers do not say, see :func:`isotherm.systems.bridgevla.reading.shown_heatmap`.

    Returns:
        The matplotlib Figure; nothing stays open.

    Raises:
        ShapeError: several maps, points that are not (x, y), something that is no picture.
        InputError: a file that cannot be written.
    """
    picture = shown_picture(image)
    drawn = shown_heatmap(heatmap, picture, kind=kind)
    marks = Marks(points=shown_points(points, picture), radius=point_radius)
    row = [
        Panel(picture, "picture", marks=marks),
        map_panel(drawn, "heatmap", colormap=colormap),
        overlay_panel(drawn, picture, "overlay", colormap=colormap, alpha=heatmap_alpha, bar=False),
    ]
    return sheet([row], title=title, save_path=save_path)
