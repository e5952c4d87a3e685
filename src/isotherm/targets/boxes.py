"""Boxes as CenterNet has them: a map of centres per class, and the extents and offsets at the centres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.heatmap import Heatmap
from isotherm.ops.gaussian import Sigma, outer, peak_vectors, sigma_per_axis
from isotherm.ops.place import OffFrame, place, raster
from isotherm.points import Points, State
from isotherm.targets.mixture import fused_state
from isotherm.training_map import TrainingMap


@dataclass(frozen=True, eq=False)
class BoxTarget:
    """What a detector of centres shall predict.

    Args:
        centres: TrainingMap of (*batch, count, h, w) peak maps, one per class, and (*batch, count) states.
        size: (*batch, 2, h, w), the (w, h) of the box in cells, at the cell that holds its centre; 0 elsewhere.
        offset: (*batch, 2, h, w), the (x, y) of the centre from that cell's top-left edge, from 0 to 1: place = cell +
            offset.
        supervised: (*batch, h, w), the cells at which size and offset are to be learned.
    """

    centres: TrainingMap
    size: Float[Tensor, "*b 2 h w"]
    offset: Float[Tensor, "*b 2 h w"]
    supervised: Bool[Tensor, "*b h w"]


def boxes(
    boxes: Float[Tensor, "*b n 4"],
    frame: Frame | Size,
    *,
    classes: Int[Tensor, "*b n"],
    count: int,
    sigma: Literal["adaptive"] | Sigma = "adaptive",
    centre: Literal["exact", "cell"] = "exact",
    state: Int[Tensor, "*b n"] | None = None,
    off_frame: OffFrame = "background",
) -> BoxTarget:
    """Maps of box centres per class, with the boxes' extents and offsets at the centres.

    Args:
        boxes: (*batch, n, 4) (x0, y0, x1, y1) in source pixels, edge-origin.
        frame: of the maps, single or batched as the first dimensions of the boxes; or a size (h, w), and the boxes are
            in its cells. In a turned frame a box stands for the upright box around it.
        classes: (*batch, n), from 0 to count - 1.
        count: of classes.
        sigma: 'adaptive', (2 r + 1) / 6 cells with r of :func:`centre_radius`; or as ``sigma_cells`` of
            :func:`isotherm.targets.gaussian`.
        centre: 'exact': the peak is where the centre is (for MSE; decode by least squares). 'cell': at the centre of
            the cell that holds it, so that this cell is exactly 1, which ``losses.focal`` needs; the offset has the
            rest.
        state: (*batch, n) of :class:`isotherm.points.State`; boxes that are UNLABELLED or ABSENT, or not finite, count
            nowhere.
        off_frame: for a box whose centre lies outside, see :data:`isotherm.ops.place.OffFrame`. Size and offset are
            supervised at centres inside alone, or, under 'clip', moved inside.

    Returns:
        BoxTarget. Where peaks of one class meet, the larger value holds; where centres share a cell, size and offset
        are those of the smaller box, as in FCOS. A class without boxes is ABSENT: nothing is there, and that is known.

    Raises:
        ShapeError: parts that do not fit.
        OptionError: a class outside of the count, a box whose second corner lies before its first, no such ``centre``,
            a sigma that is not a positive number.

    Source: Zhou et al., "Objects as points" (2019), section 3; Law and Deng, "CornerNet" (ECCV 2018), section 3.2.

    Example:
        >>> found = boxes(torch.tensor([[0.0, 0.0, 6.0, 2.0]]), Frame.resize((2, 8), (1, 4)), classes=torch.tensor([0]), count=1, centre="cell")
        >>> found.size[:, 0].tolist(), found.offset[:, 0].tolist()
        ([[0.0, 3.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]], [[0.0, 0.5, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0]])
    """
    if centre not in ("exact", "cell"):
        raise OptionError(f"centre is {centre!r}; expected 'exact' or 'cell'")
    if isinstance(sigma, str) and sigma != "adaptive":
        raise OptionError(f"sigma is {sigma!r}; expected 'adaptive' or a number of cells")
    _expect_boxes(boxes, classes, count)
    grid = raster(frame)
    in_cells = _in_cells(boxes, frame)
    low, high = in_cells[..., :2], in_cells[..., 2:]
    # the centre of a box that is not finite is not finite, so place() will not show it
    at = place((boxes[..., :2] + boxes[..., 2:]) / 2, frame, state=state, off_frame=off_frame)
    extent = torch.where(at.shown[..., None], high - low, 1.0)
    _expect_ready(boxes, classes, at.shown, count)
    h, w = grid.size
    limit = torch.tensor([w, h], device=at.cells.device)
    inside = at.shown & ((at.cells >= 0) & (at.cells <= limit)).all(-1)
    # a centre on the far edge belongs to the last cell; one outside must not be rounded to it
    cell = torch.minimum(at.cells.detach().floor(), torch.where(inside[..., None], limit - 1.0, torch.inf))
    widths = sigma_per_axis((2 * centre_radius(extent) + 1) / 6 if isinstance(sigma, str) else sigma, at.cells)
    gx, gy = peak_vectors(at.cells if centre == "exact" else cell + 0.5, widths, grid.size)
    maps = _largest_per_class(outer(gx * at.shown[..., None], gy), classes.clamp(0, count - 1), count)
    of_class = classes[..., None, :] == torch.arange(count, device=classes.device)[:, None]
    states = torch.where(of_class, at.state[..., None, :], int(State.ABSENT))
    centres = TrainingMap(Heatmap(maps, grid, "peak"), fused_state(states, of_class & at.shown[..., None, :]))
    values, supervised = _at_cells(torch.cat([extent, at.cells - cell], -1), cell, extent.prod(-1), inside, grid.size)
    return BoxTarget(centres, values[..., :2, :, :], values[..., 2:, :, :], supervised)


def centre_radius(extent: Float[Tensor, "*b 2"], *, iou: float = 0.7) -> Float[Tensor, "*b"]:
    """How far both corners of a box may be off along each axis, at the worst, while the box still overlaps the true
    one.

    Both corners may be shifted alike, inwards or outwards, by r along each axis. Inwards costs most at any shape and
    any overlap, so r is the smaller root of (w - 2r)(h - 2r) = iou w h; the other two,
    (w - r)(h - r)(1 + iou) = 2 iou w h and w h = iou (w + 2r)(h + 2r), are never less.

    Args:
        extent: (..., 2) (w, h) of boxes, in any unit.
        iou: intersection over union that must remain.

    Returns:
        (...) r in the unit of the boxes.

    Raises:
        OptionError: an iou that does not lie between 0 and 1.

    Source: the idea is CornerNet's (Law and Deng, 2018, section 3.2). The code in common use (``gaussian_radius`` of
    CenterNet, after CornerNet's) is wrong: it divides by 2 where the root of a r^2 + b r + c divides by 2 a, and adds
    the square root where the smaller root subtracts it. For a box of 10 x 10 and 0.7 that gives 2.73, where 0.82 is
    right: boxes whose corners are 2.73 apart may overlap by as little as 0.21.

    Example:
        >>> round(float(centre_radius(torch.tensor([10.0, 10.0]))), 4)
        0.8167
    """
    if not 0 < iou < 1:
        raise OptionError(f"iou is {iou}; expected a number between 0 and 1")
    total, area = extent.sum(-1), extent.prod(-1)
    # 4 r^2 - 2 (w + h) r + (1 - iou) w h = 0; as c over the larger root, because the difference loses all digits of
    # long boxes
    square = (extent[..., 0] - extent[..., 1]).square() + 4 * iou * area
    some = total > 0  # of a box that is a point, the root has no gradient
    larger = torch.where(some, total + torch.where(some, square, 1.0).sqrt(), 1.0)
    return (1 - iou) * area / larger


def _in_cells(boxes: Tensor, frame: Frame | Size) -> Tensor:
    """The upright boxes around the boxes' corners in cells; through Points, which line a batched frame up."""
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    boxes = torch.where(torch.isfinite(boxes).all(-1, keepdim=True), boxes, 0.0)
    if not isinstance(frame, Frame):
        return boxes
    x0, y0, x1, y1 = boxes.unbind(-1)
    corners = torch.stack([x0, y0, x1, y0, x0, y1, x1, y1], -1).unflatten(-1, (4, 2))
    moved = Points(corners.flatten(-3, -2)).to_cells(frame).xy.unflatten(-2, (boxes.shape[-2], 4))
    return torch.cat([moved.amin(-2), moved.amax(-2)], -1)


def _largest_per_class(maps: Tensor, classes: Tensor, count: int) -> Tensor:
    empty = maps.new_zeros(*maps.shape[:-3], count, *maps.shape[-2:])
    return empty.scatter_reduce(-3, classes.long()[..., None, None].expand(maps.shape), maps, "amax")


def _at_cells(values: Tensor, cell: Tensor, area: Tensor, inside: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """(*b, n, c) values at their cells -> ((*b, c, h, w) maps, (*b, h, w) where there are any); the smallest area wins
    a cell.
    """
    h, w = size
    n, lead = cell.shape[-2], cell.shape[:-2]
    # one more place, past the last cell, takes all that is not shown
    index = torch.where(inside, cell[..., 1] * w + cell[..., 0], float(h * w)).long()
    worst = area.new_full((*lead, h * w + 1), torch.inf)
    smallest = worst.scatter_reduce(-1, index, area.detach(), "amin").gather(-1, index)
    order = torch.where(area.detach() == smallest, torch.arange(n, device=cell.device), n)
    # of equal areas the first
    first = order.new_full((*lead, h * w + 1), n).scatter_reduce(-1, index, order, "amin")
    wins = first.gather(-1, index) == torch.arange(n, device=cell.device)
    index = torch.where(wins, index, h * w)
    maps = values.new_zeros(*lead, values.shape[-1], h * w + 1)
    spread = index[..., None, :].expand(*lead, values.shape[-1], n)
    maps = maps.scatter(-1, spread, torch.where(wins[..., None], values, 0.0).transpose(-1, -2))
    taken = torch.zeros(*lead, h * w + 1, dtype=torch.bool, device=cell.device).scatter(-1, index, wins)
    return maps[..., :-1].unflatten(-1, (h, w)), taken[..., :-1].unflatten(-1, (h, w))


def _expect_boxes(boxes: Tensor, classes: Tensor, count: int) -> None:
    if boxes.ndim < 2 or boxes.shape[-1] != 4 or not boxes.is_floating_point():
        raise ShapeError(
            f"boxes have shape {tuple(boxes.shape)} and dtype {boxes.dtype}; expected floating point (*batch, n, 4)"
        )
    if classes.shape != boxes.shape[:-1]:
        raise ShapeError(
            f"classes have shape {tuple(classes.shape)}; expected {tuple(boxes.shape[:-1])}, one for every box"
        )
    if count < 1:
        raise OptionError(f"count is {count}; expected at least one class")


def _expect_ready(boxes: Tensor, classes: Tensor, shown: Tensor, count: int) -> None:
    if torch.compiler.is_compiling():  # looking at values would break the graph in two
        return
    strange = shown & ((classes < 0) | (classes >= count))
    if bool(strange.any()):
        raise OptionError(
            f"a box has the class {int(classes[strange][0])}; expected 0 to {count - 1}, as count={count} says"
        )
    turned = shown & (boxes[..., 2:] < boxes[..., :2]).any(-1)
    if bool(turned.any()):
        raise OptionError(f"a box is {boxes[turned][0].tolist()}; expected (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1")
