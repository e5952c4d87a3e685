"""What the saliency figures take: maps, fixations and pairs of maps, checked, as float64."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import FrameError, KindError, ShapeError
from isotherm.heatmap import Heatmap
from isotherm.metrics.scoring import check_maps

Maps = Heatmap | Float[Tensor, "t h w"]
"""A heatmap of (t, h, w), or the values alone."""


def values_of(maps: Maps) -> Float[Tensor, "t h w"]:
    """The maps as float64, which must be finite.

    Raises:
        ShapeError: not one map a row.
        KindError: NaN or infinite values.
    """
    values = maps.values if isinstance(maps, Heatmap) else maps
    if values.ndim != 3:
        raise ShapeError(f"the maps have shape {tuple(values.shape)}; expected (t, h, w), one map for each moment")
    check_maps(values)
    return values.double()


def cells_of(maps: Maps, fixations: Float[Tensor, "_ n 2"]) -> tuple[Int[Tensor, "t n"], Bool[Tensor, "t n"]]:
    """The flat number of the cell that each fixation lies in, and whether there is such a cell.

    Args:
        maps: with a frame where the fixations are in source pixels; values alone where they are in cells.
        fixations: (t, n, 2) as (x, y), edge-origin, NaN where there is none.

    Returns:
        (t, n) numbers from 0 to h w - 1, 0 where there is none; and (t, n), False where the fixation is NaN or lies
        beside the map.

    Raises:
        ShapeError: not one row of fixations for each map.
    """
    values = maps.values if isinstance(maps, Heatmap) else maps
    if fixations.ndim != 3 or fixations.shape[-1] != 2 or len(fixations) != len(values):
        raise ShapeError(
            f"the fixations have shape {tuple(fixations.shape)} for {len(values)} maps; expected ({len(values)}, n, 2), "
            "(x, y) of up to n fixations for each map, NaN where there are fewer"
        )
    places = fixations.to(values.device).double()
    if isinstance(maps, Heatmap):
        places = maps.frame.points_from_source(places)
    h, w = values.shape[-2:]
    # an edge belongs to the picture, as a recording has it; a thousandth of a millionth is what going through frames costs
    size = places.new_tensor([w, h])
    there = ((places >= -1e-9) & (places <= size + 1e-9)).all(-1)  # False of NaN
    column, row = torch.minimum(places.floor().clamp(min=0), size - 1).unbind(-1)
    flat = torch.where(there, row * w + column, 0).long()
    return flat, there


def distinct(flat: Int[Tensor, "t n"], there: Bool[Tensor, "t n"], cells: int) -> Bool[Tensor, "t cells"]:
    """Which cells hold at least one fixation."""
    counts = torch.zeros(len(flat), cells, dtype=torch.int64, device=flat.device)
    return counts.scatter_add_(1, flat, there.long()) > 0


def pair_of(maps: Maps, truth: Maps, what: str) -> tuple[Float[Tensor, "t h w"], Float[Tensor, "t h w"]]:
    """Two sets of maps that may be compared cell by cell, as float64.

    Args:
        maps, truth: two heatmaps of one kind over the same cells, or values alone.
        what: the figure, for messages.

    Raises:
        KindError: heatmaps of two kinds, or a heatmap beside values of which nobody knows the kind.
        FrameError: heatmaps whose cells are not the same.
        ShapeError: maps of two shapes.
    """
    if isinstance(maps, Heatmap) != isinstance(truth, Heatmap):
        raise KindError(
            f"{what} compares a heatmap with plain values, of which nobody knows the kind; give two heatmaps, or the values of both"
        )
    if isinstance(maps, Heatmap) and isinstance(truth, Heatmap):
        if maps.kind != truth.kind:
            raise KindError(
                f"{what} compares maps of kind {maps.kind!r} and {truth.kind!r}; bring both to one kind first, or give their "
                "values if you know that they may be compared"
            )
        if maps.frame.size == truth.frame.size and not _same_cells(maps, truth):
            raise FrameError(
                f"{what} compares {maps.frame!r} with {truth.frame!r}, whose cells are not the same; bring one to the other's "
                "frame first (isotherm.ops.resample.to_frame)"
            )
    a, b = values_of(maps), values_of(truth)
    if a.shape != b.shape:
        raise ShapeError(
            f"{what} compares maps of {tuple(a.shape)} with {tuple(b.shape)}; expected one shape, so resample one of them first"
        )
    return a, b.to(a.device)


def distributions(values: Float[Tensor, "t h w"], what: str) -> Float[Tensor, "t h w"]:
    """Each map divided by its sum; NaN of a map of zeros, which is no distribution.

    Raises:
        KindError: a negative value, of which there is no probability.
    """
    if bool((values < 0).any()):
        raise KindError(
            f"{what} is of distributions, and map(s) {torch.nonzero((values < 0).flatten(1).any(1)).flatten().tolist()} hold "
            "negative values; take probabilities of logits (isotherm.decode.cell_probability), or the positive part of relevance"
        )
    total = values.sum((1, 2), keepdim=True)
    return values / torch.where(total > 0, total, torch.nan)


def expect_distribution(maps: Maps, what: str) -> None:
    """Raises KindError for heatmaps of logits, which sum to nothing that means anything."""
    if isinstance(maps, Heatmap) and (maps.kind == "logits" or maps.signed):
        kind = "signed relevance" if maps.signed else "kind 'logits'"
        raise KindError(
            f"{what} is of distributions, and this heatmap is of {kind}; take probabilities of logits "
            "(isotherm.decode.cell_probability), or the positive part of relevance"
        )


def _same_cells(a: Heatmap, b: Heatmap) -> bool:
    one, other = a.frame, b.frame
    if one.batch_shape != other.batch_shape and not (one.batch_shape and other.batch_shape):
        one = one if one.batch_shape else one.expanded(len(other))
        other = other if other.batch_shape else other.expanded(len(one))
    return one.allclose(other)
