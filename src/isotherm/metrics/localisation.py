"""Does the map lie where the object is? Pointing game, energy in a box or mask, overlap of the strongest pixels.

These figures compare a map with what a person calls the object, not with what the model used; a faithful map of a model
that looks at the background scores badly, and should. A map without any positive value makes no claim: its figure is
NaN, to be counted and reported (:func:`isotherm.metrics.intervals.bootstrap` does both), never 0 or 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.metrics.scoring import check_maps


def box_coverage(boxes: Float[Tensor, "t 4"], size: Size) -> Float[Tensor, "t h w"]:
    """Which part of every pixel lies inside a box, 0 to 1.

    Args:
        boxes: (t, 4) x0, y0, x1, y1, edge-origin, in pixels of the raster.
        size: (h, w) of the raster.

    Example:
        >>> box_coverage(torch.tensor([[0.5, 0.0, 2.0, 1.0]]), (1, 3)).tolist()
        [[[0.5, 1.0, 0.0]]]
    """
    y, x = (torch.arange(n, dtype=boxes.dtype, device=boxes.device) for n in size)
    across = (torch.minimum(boxes[:, 2, None], x + 1) - torch.maximum(boxes[:, 0, None], x)).clamp(min=0)
    down = (torch.minimum(boxes[:, 3, None], y + 1) - torch.maximum(boxes[:, 1, None], y)).clamp(min=0)
    return down[:, :, None] * across[:, None, :]


def box_pixels(boxes: Float[Tensor, "t 4"], size: Size) -> Bool[Tensor, "t h w"]:
    """The pixels whose centres lie inside a box; boxes as of :func:`box_coverage`."""
    y, x = (torch.arange(n, dtype=boxes.dtype, device=boxes.device) + 0.5 for n in size)
    across = (x >= boxes[:, 0, None]) & (x < boxes[:, 2, None])
    down = (y >= boxes[:, 1, None]) & (y < boxes[:, 3, None])
    return down[:, :, None] & across[:, None, :]


def energy_inside(
    maps: Float[Tensor, "t h w"], regions: Float[Tensor, "t h w"] | Bool[Tensor, "t h w"]
) -> Float[Tensor, " t"]:
    """The part of a map's positive energy that lies inside a box or mask, 0 to 1; NaN for maps without any.

    Args:
        maps: relevance; negative values are evidence against and count as 0.
        regions: masks, or the part of each pixel that is inside (:func:`box_coverage`).

    Source: Wang et al., "Score-CAM" (CVPR-W 2020), section 4.3, the energy-based pointing game.

    Example:
        >>> energy_inside(torch.tensor([[[3.0, 1.0, -5.0]]]), torch.tensor([[[True, False, True]]])).tolist()
        [0.75]
    """
    _check(maps, regions)
    positive = maps.clamp(min=0).double() if maps.device.type != "mps" else maps.clamp(min=0)
    total = positive.sum((1, 2))
    inside = (positive * regions.to(positive)).sum((1, 2))
    return torch.where(total > 0, inside / torch.where(total > 0, total, 1.0), torch.nan).to(maps.dtype)


def pointing_game(
    maps: Float[Tensor, "t h w"], regions: Bool[Tensor, "t h w"], *, tolerance: float = 0.0, frame: Frame | None = None
) -> Float[Tensor, " t"]:
    """Whether the strongest pixel hits the object: 1 or 0, or, where several are equally strong, the part of them that
    hits.

    Args:
        maps: relevance; NaN is returned for those without a positive value.
        regions: the objects.
        tolerance: how far from the object a hit may be, centre to centre, in pixels of the map, or, where a ``frame``
            is given, in source pixels. The paper allows 15.
        frame: the maps' cells -> source pixels, single or batch (t,).

    Source: Zhang et al., "Top-down neural attention by excitation backprop" (ECCV 2016), section 4.1. The paper leaves
    ties open; the expectation over them makes a constant map score at chance rather than at its top-left corner.
    """
    _check(maps, regions)
    if tolerance < 0:
        raise OptionError(f"tolerance is {tolerance}; a distance cannot be negative")
    grown = regions if tolerance == 0 else _grown(regions, tolerance, frame)
    peak = maps.amax((1, 2), keepdim=True)
    ties = maps == peak
    hits = (ties & grown).sum((1, 2)) / ties.sum((1, 2))
    return torch.where(peak[:, 0, 0] > 0, hits, torch.nan).to(maps.dtype)


class Overlap(NamedTuple):
    """How the strongest pixels and the object overlap.

    Args:
        inside: (t,) the part of the strongest pixels that lies in the object.
        iou: (t,) intersection over union of the two.
    """

    inside: Float[Tensor, " t"]
    iou: Float[Tensor, " t"]


def top_overlap(
    maps: Float[Tensor, "t h w"], regions: Bool[Tensor, "t h w"], *, fraction: float | None = None
) -> Overlap:
    """Overlap of the object with as many of the strongest pixels as it has itself, or with a fixed part of the picture.

    Args:
        maps: relevance; NaN is returned for those without a positive value, and for empty objects.
        fraction: part of the picture's pixels that counts as strongest, above 0 to 1; None: the object's own size
            (relevance rank accuracy).

    Pixels tied at the threshold count by the part of them that there is room for, as if drawn at random.

    Source: Arras, Osman & Samek, "CLEVR-XAI" (Information Fusion 2022), eq. 3, for ``fraction=None``.
    """
    _check(maps, regions)
    if fraction is not None and not 0 < fraction <= 1:
        raise OptionError(
            f"fraction is {fraction}; it is the part of all pixels that counts as strongest, above 0 to 1"
        )
    flat, inside = maps.flatten(1), regions.flatten(1)
    area, pixels = inside.sum(1), flat.shape[1]
    room = area if fraction is None else torch.full_like(area, max(1, round(fraction * pixels)))
    ranked = flat.sort(dim=1, descending=True).values
    threshold = ranked.gather(1, (room - 1).clamp(min=0)[:, None])
    above, tied = flat > threshold, flat == threshold
    share = (room - above.sum(1)) / tied.sum(1)
    hits = (above & inside).sum(1) + share * (tied & inside).sum(1)
    judged = (flat.amax(1) > 0) & (area > 0)
    nan = torch.full_like(hits, torch.nan)
    return Overlap(
        torch.where(judged, hits / room.clamp(min=1), nan).to(maps.dtype),
        torch.where(judged, hits / (room + area - hits).clamp(min=1), nan).to(maps.dtype),
    )


def _check(maps: Tensor, regions: Tensor) -> None:
    if maps.shape != regions.shape:
        raise ShapeError(
            f"maps are {tuple(maps.shape)} and regions {tuple(regions.shape)}; each map needs a region of its own size"
        )
    check_maps(maps)


def _grown(regions: Tensor, tolerance: float, frame: Frame | None) -> Tensor:
    """Regions and all pixels within ``tolerance`` of them; a disc in source pixels is an ellipse in a stretched map."""
    if frame is None:
        return torch.cat([_dilated(r[None], tolerance, tolerance) for r in regions]) if len(regions) else regions
    if frame.size != tuple(regions.shape[-2:]):
        raise ShapeError(
            f"the frame has {frame.size} cells but the maps {tuple(regions.shape[-2:])}; give the maps' own frame"
        )
    cells = frame.cell_size if frame.batch_shape else frame.cell_size.expand(len(regions), 2)
    if len(cells) != len(regions):
        raise ShapeError(
            f"the frame is a batch of {len(cells)} for {len(regions)} maps; give one for all or one for each"
        )
    reach = (tolerance / cells.cpu()).tolist()
    return (
        torch.cat([_dilated(r[None], *radii) for r, radii in zip(regions, reach, strict=True)])
        if len(regions)
        else regions
    )


def _dilated(region: Tensor, ry: float, rx: float) -> Tensor:
    h, w = region.shape[-2:]
    ny, nx = min(int(ry), h - 1), min(int(rx), w - 1)
    y = torch.arange(-ny, ny + 1, device=region.device) / max(ry, 1e-9)
    x = torch.arange(-nx, nx + 1, device=region.device) / max(rx, 1e-9)
    disc = (y[:, None].square() + x.square() <= 1 + 1e-6).float()
    return F.conv2d(region[:, None].float(), disc[None, None], padding=(ny, nx))[:, 0] > 0.5
