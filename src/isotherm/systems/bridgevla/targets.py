"""Targets of points and annotation text by the names of their users."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.data.annotation_files import shown
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.ops.coordinates import index_to_edge
from isotherm.targets.annotation import BoxFormat, Flag, from_annotation, number_rows
from isotherm.targets.mixture import mixture
from isotherm.targets.points import gaussian

Side = int | Size
"""A square's side, or (h, w)."""


def generate_hm_from_pt(
    points: Float[Tensor, "n 2"] | Float[Tensor, " 2"] | Sequence, res: Side, sigma: float, thres: float = 3
) -> Float[Tensor, "n H W"]:
    """A Gaussian map for every point, each of sum 1.

    Args:
        points: (n, 2), or one (x, y), in cells counted from the centre of the first one (its centre is 0), as users of
            this function count; everything else in isotherm counts from its edge.
        res: a side, or (h, w), of the maps.
        sigma: standard deviation in cells.
        thres: cells farther than so many sigmas are 0; the nearest cell never is, so that a point off the frame still
            gives a map, of sum 1, at the border.

    Raises:
        ShapeError: points that are no finite numbers (n, 2).
        OptionError: a size that is none, a sigma or thres that is not above 0.

    Example:
        >>> maps = generate_hm_from_pt(torch.tensor([[112.0, 56.0]]), res=224, sigma=10.0)
        >>> maps.shape, divmod(int(maps.argmax()), 224)
        (torch.Size([1, 224, 224]), (56, 112))
    """
    maps = gaussian(_edges(points), _size(res), sigma_cells=sigma, kind="probability", cut_sigmas=thres)
    return maps.heatmap.values


def generate_target_heatmap_from_annotation(
    annotation: str,
    flag: Flag,
    image_size: Side = 224,
    sigma: float = 2,
    *,
    normalized: bool = True,
    box_format: BoxFormat | None = None,
) -> Float[Tensor, "1 H W"]:
    """One map of all the places that an annotation names, of sum 1: the mixture of their Gaussians.

    Args:
        annotation: numbers in brackets; a box counts by its centre.
        flag: detection_1, one box of corners; detection_2, boxes of centre and extent, or points; single_point; or
            grasp_point, one or more.
        image_size: a side, or (h, w), of the map.
        sigma: standard deviation in cells.
        normalized: True: numbers from 0 to 1 over the picture's extent; False: cells, from the edge of the first one.
        box_format: of four numbers where it is not that of the flag, see :data:`isotherm.targets.annotation.BoxFormat`.

    Raises:
        AnnotationError: text of another form, numbers outside of the picture; it names the column.
        OptionError: another flag or box format.

    Example:
        >>> target = generate_target_heatmap_from_annotation("[0, 0.4, 1, 0.6]", "detection_1", image_size=9)
        >>> divmod(int(target.argmax()), 9)
        (4, 4)
    """
    if flag == "detection_2" and box_format is None and all(len(row) == 2 for row in number_rows(annotation, "boxes")):
        flag = "grasp_point"  # two numbers are no box: these annotations also hold lists of points
    target = from_annotation(
        annotation,
        flag,
        Frame.identity(_size(image_size)),
        sigma_cells=sigma,
        normalised=normalized,
        box_format=box_format,
    )
    return target.heatmap.values


def create_multi_scale_heatmap(
    points: Float[Tensor, "n 2"] | Float[Tensor, " 2"] | Sequence,
    image_size: Side = 224,
    scales: Sequence[float] = (2.0, 5.0, 10.0),
    *,
    reduce: Literal["mean", "max"] | None = None,
) -> Float[Tensor, "*s H W"]:
    """All points in one map, at several widths.

    Args:
        points: as of :func:`generate_hm_from_pt`.
        image_size: a side, or (h, w), of the maps.
        scales: standard deviations in cells.
        reduce: None: a map per width; 'mean' or 'max' over them.

    Returns:
        (s, H, W), each of sum 1; reduced (H, W): the mean, of sum 1, or the largest of their peaks, of peak 1.

    Raises:
        ShapeError: points that are no finite numbers (n, 2), or none.
        OptionError: a size that is none, no scales, one that is not above 0, or another reduction.

    Example:
        >>> create_multi_scale_heatmap(torch.tensor([[112.0, 112.0]]), 224, scales=[2.0, 5.0, 10.0]).shape
        torch.Size([3, 224, 224])
    """
    scales = [scales] if isinstance(scales, int | float) else scales
    if len(scales) == 0:
        raise OptionError("scales is empty; give at least one standard deviation in cells")
    if reduce not in (None, "mean", "max"):
        raise OptionError(f"reduce is {reduce!r}; expected None, 'mean' or 'max'")
    edges, size = _edges(points), _size(image_size)
    if not len(edges):
        raise ShapeError("there are no points, so there is nothing to mix; give at least one")
    how: Literal["mixture", "max"] = "max" if reduce == "max" else "mixture"
    maps = torch.stack([mixture(edges, size, sigma_cells=sigma, how=how).heatmap.values for sigma in scales])
    return maps if reduce is None else maps.mean(0) if reduce == "mean" else maps.amax(0)


def _edges(points: Tensor | Sequence) -> Float[Tensor, "n 2"]:
    if isinstance(points, list | tuple) and any(isinstance(one, Tensor) for one in points):
        points = torch.stack([torch.as_tensor(one) for one in points])
    try:
        values = torch.as_tensor(points)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"points are {shown(points)}; expected (n, 2) numbers, (x, y) of each") from error
    values = values if values.is_floating_point() else values.float()
    values = values.new_zeros(0, 2) if values.numel() == 0 else values
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[-1] != 2:
        raise ShapeError(f"points have shape {tuple(values.shape)}; expected (n, 2), (x, y) of each")
    there = torch.isfinite(values).all(-1)
    if not bool(there.all()):  # its map would be 0 everywhere, and a loss on it would say nothing
        raise ShapeError(
            f"point {int((~there).nonzero()[0])} is {values[~there][0].tolist()}; expected finite numbers: leave out what is not known"
        )
    return index_to_edge(values)


def _size(side: Side) -> Size:
    sides = (side, side) if isinstance(side, Integral) else side
    if not isinstance(sides, Sequence) or len(sides) != 2 or not all(isinstance(s, Integral) and s > 0 for s in sides):
        raise OptionError(f"the size of the maps is {shown(side)}; expected a whole number of cells, or (h, w)")
    return int(sides[0]), int(sides[1])
