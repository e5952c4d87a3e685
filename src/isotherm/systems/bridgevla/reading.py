"""What drawing takes: maps and pictures as they come, made a Heatmap and an RGB picture of a size to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from isotherm.data.annotation_files import shown
from isotherm.draw.picture import Picture, open_canvas, to_pil
from isotherm.errors import KindError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.ops.coordinates import normalised_to_edge
from isotherm.targets.annotation import BoxFormat

SIDE = 480
"""Pixels of the longer side of every panel: smaller pictures are made larger, so that marks stay sharp."""
ONE = 1e-2
"""A map whose sum is this near to 1 is a distribution over its cells; half precision sums no better."""
Maps = Tensor | np.ndarray | Sequence[Tensor] | Sequence[np.ndarray]
"""Several maps: (n, h, w), or (h, w) or (1, h, w) each."""


def shown_picture(picture: Picture, *, side: int = SIDE) -> Image.Image:
    """Any picture in RGB with a longer side of so many pixels; transparency is laid on white."""
    canvas = open_canvas(picture)
    image = to_pil(canvas.rgb)
    if canvas.alpha is not None:
        alpha = (
            canvas.alpha
            if isinstance(canvas.alpha, Image.Image)
            else to_pil(np.repeat(canvas.alpha[..., None], 3, 2)).convert("L")
        )
        image = Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
    factor = side / max(image.size)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def shown_heatmap(
    values: Tensor | np.ndarray, picture: Image.Image, *, kind: Kind | None = None, label: str = ""
) -> Heatmap:
    """One map over a whole picture.

    Args:
        values: (h, w) or (1, h, w), of any number of cells; with gradients or without, on any device, in any precision.
        picture: that the map lies over.
        kind: what the numbers are; unless given, logits where one is negative, probabilities where they sum to 1,
            and relevance otherwise: from 0 to the largest.
        label: of the heatmap.

    Raises:
        ShapeError: several maps, or none.
        KindError: logits are claimed to be something that has no negative values.
    """
    try:
        tensor = torch.as_tensor(values).detach().cpu().float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"the heatmap is {shown(values)}; expected one map of numbers, (h, w) or (1, h, w)") from error
    if tensor.ndim == 3 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.ndim != 2 or tensor.numel() == 0:
        raise ShapeError(
            f"the heatmap has shape {tuple(tensor.shape)}; expected one map, (h, w) or (1, h, w): take one view of one "
            "prompt (heatmaps[0, 0]), or draw all views with visualize_multi_view_heatmaps"
        )
    finite = tensor[torch.isfinite(tensor)]
    low = float(finite.min()) if finite.numel() else 0.0
    if kind is None:
        kind = "logits" if low < 0 else "probability" if abs(float(finite.double().sum()) - 1) < ONE else "relevance"
    elif kind in ("probability", "peak") and low < 0:
        raise KindError(f"the heatmap has values down to {low:g}, so it is no {kind} map; give kind='logits', or none")
    return Heatmap(tensor, Frame.resize((picture.height, picture.width), tuple(tensor.shape)), kind, label=label)


def shown_heatmaps(maps: Maps, pictures: Sequence[Image.Image], *, kind: Kind | None = None) -> list[Heatmap]:
    """As :func:`shown_heatmap`, a map for each picture; where one is logits, all are."""
    drawn = [shown_heatmap(m, p, kind=kind) for m, p in zip(maps, pictures, strict=True)]
    if kind is None and any(h.kind == "logits" for h in drawn):
        return [h.with_(kind="logits") for h in drawn]
    if kind is None and any(h.kind == "relevance" for h in drawn):
        return [h.with_(kind="relevance") for h in drawn]
    return drawn


def shown_points(points: Sequence[Sequence[float]] | Tensor, picture: Image.Image) -> Float[np.ndarray, "n 2"]:
    """Points (x, y) from 0 to 1 over a picture's extent -> its pixels, edge-origin.

    Raises:
        ShapeError: points of another form, or outside of 0 to 1.
    """
    xy = _rows(points, 2, "a point", "(x, y)")
    return normalised_to_edge(xy, (picture.height, picture.width)).numpy()


def shown_boxes(
    boxes: Sequence[Sequence[float]] | Tensor, picture: Image.Image, box_format: BoxFormat
) -> Float[np.ndarray, "n 4"]:
    """Boxes from 0 to 1 over a picture's extent -> corners (x0, y0, x1, y1) in its pixels, edge-origin.

    Raises:
        ShapeError: boxes of another form, or numbers outside of 0 to 1.
        OptionError: another box format.
    """
    if box_format not in get_args(BoxFormat):
        raise OptionError(f"box_format is {box_format!r}; expected one of {', '.join(get_args(BoxFormat))}")
    first, second = _rows(boxes, 4, "a box", f"four numbers ({box_format})").view(-1, 2, 2).unbind(1)
    if box_format == "cxcywh":
        first, second = first - second / 2, first + second / 2
    elif box_format == "xywh":
        second = first + second
    if bool((second < first).any()):
        raise ShapeError("a box of corners (x0, y0, x1, y1) ends before it starts; give box_format='cxcywh' or 'xywh'")
    size = picture.height, picture.width
    return torch.cat([normalised_to_edge(first, size), normalised_to_edge(second, size)], -1).numpy()


def _rows(values: Sequence[Sequence[float]] | Tensor, width: int, what: str, form: str) -> Float[Tensor, "n k"]:
    if isinstance(values, list | tuple) and any(isinstance(one, Tensor) for one in values):
        values = torch.stack([torch.as_tensor(one) for one in values])
    try:
        rows = torch.as_tensor(values, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"{what} is {form} of numbers; given were {shown(values)}") from error
    rows = torch.zeros(0, width, dtype=torch.float64) if rows.numel() == 0 else rows
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ShapeError(f"{what} is {form}; these have shape {tuple(rows.shape)}")
    inside = ((rows >= 0) & (rows <= 1)).all(1)
    if not bool(inside.all()):
        raise ShapeError(
            f"{what} is {rows[~inside][0].tolist()}; expected {form} from 0 to 1 over the picture's extent: divide pixels by its width and height"
        )
    return rows
