"""The heatmaps of several views, with one scale for all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from isotherm.draw.picture import Picture
from isotherm.errors import ShapeError
from isotherm.heatmap import Kind
from isotherm.systems.bridgevla.figures.sheet import Panel, overlay_panels, sheet
from isotherm.systems.bridgevla.reading import Maps, shown_heatmaps, shown_picture


def visualize_multi_view_heatmaps(
    images: Sequence[Picture],
    heatmaps: Maps,
    save_path: str | os.PathLike[str] | None = None,
    view_names: Sequence[str] | None = None,
    colormap: str | None = None,
    heatmap_alpha: float | None = None,
    title: str | None = None,
    *,
    kind: Kind | None = None,
) -> Any:
    """A column per view: the picture, and below it its map over it; one scale for all views.

    Args:
        images: a picture per view.
        heatmaps: (v, H, W), or a map (H, W) or (1, H, W) per view, logits or probabilities.
        view_names: above each column; "view 1" and so on unless given.
        save_path, colormap, heatmap_alpha, title, kind: as of
            :func:`isotherm.systems.bridgevla.visualize_points_and_heatmap`.

    Returns:
        The matplotlib Figure; nothing stays open.

    Raises:
        ShapeError: not as many maps or names as pictures, something that is no map or no picture.
        KindError: maps whose numbers mean different things, such as logits beside probabilities.
        InputError: a file that cannot be written.
    """
    if not isinstance(images, Tensor | np.ndarray | Sequence) or not isinstance(
        heatmaps, Tensor | np.ndarray | Sequence
    ):
        raise ShapeError(
            f"images is a {type(images).__name__} and heatmaps a {type(heatmaps).__name__}; expected a list with one of each a view"
        )
    names = [f"view {i}" for i in range(1, len(images) + 1)] if view_names is None else list(view_names)
    if not len(images) == len(heatmaps) == len(names) or not len(images):
        raise ShapeError(
            f"there are {len(images)} images, {len(heatmaps)} heatmaps and {len(names)} view_names; expected one of each "
            "a view, and at least one view"
        )
    pictures = [shown_picture(image) for image in images]
    drawn = shown_heatmaps(heatmaps, pictures, kind=kind)
    rows = [
        [Panel(p, name) for p, name in zip(pictures, names, strict=True)],
        overlay_panels(drawn, pictures, [""] * len(drawn), colormap=colormap, alpha=heatmap_alpha),
    ]
    return sheet(rows, title=title, save_path=save_path)
