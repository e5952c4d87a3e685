"""Instance masks from prototypes and coefficients, over the whole input, and which of them are empty."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.cam.view import MaskReader
from isotherm.frame import Size
from isotherm.models.ultralytics.head import AnchorOutput


def mask_coefficients(out: AnchorOutput, picture: Int[Tensor, " n"], column: Int[Tensor, " n"]) -> Float[Tensor, "n m"]:
    """Mask coefficients of findings; they follow the class scores."""
    assert out.proto is not None
    first = 4 + out.classes
    return out.dense[picture, :, column][:, first : first + out.proto.shape[1]].float()


def small_masks(
    coefficients: Float[Tensor, "n m"], proto: Float[Tensor, "b m H W"], picture: Int[Tensor, " n"]
) -> Float[Tensor, "n H W"]:
    """Mask logits on the prototypes' grid; ``picture`` is ascending."""
    parts: list[Tensor] = []
    for p, count in zip(*(t.tolist() for t in picture.unique_consecutive(return_counts=True)), strict=True):
        start = sum(len(x) for x in parts)
        parts.append(coefficients[start : start + count] @ proto[p].float().flatten(1))
    if not parts:
        return coefficients.new_zeros(0, *proto.shape[2:])
    return torch.cat(parts).unflatten(1, proto.shape[2:])


def mask_reader(
    coefficients: Float[Tensor, "n m"], proto: Float[Tensor, "b m H W"], picture: Int[Tensor, " n"], size: Size
) -> MaskReader:
    """Mask logits over the whole input when asked for, (n, h, w), with graph: the prototypes' grid, bilinearly
    enlarged.
    """

    def read(rows: Tensor | None = None) -> Tensor:
        if rows is None:
            small = small_masks(coefficients, proto, picture)
        else:
            order = torch.argsort(picture[rows], stable=True)
            small = small_masks(coefficients[rows[order]], proto, picture[rows[order]])[torch.argsort(order)]
        return F.interpolate(small[None], size, mode="bilinear")[0] if len(small) else small.new_zeros(0, *size)

    return read


def not_empty(
    coefficients: Float[Tensor, "n m"],
    proto: Float[Tensor, "b m H W"],
    boxes: Float[Tensor, "n 4"],
    picture: Int[Tensor, " n"],
    size: Size,
) -> Bool[Tensor, " n"]:
    """Which findings have any mask pixel inside of their box, as the package decides it.

    Enlarging n masks to the input is most of the cost of finding, so it is done only where the small mask does not
    decide: if all cells that the pixels of the box are interpolated from are at most 0, no pixel is positive; if some
    pixel of the box is interpolated from four positive cells, that one is.
    """
    small = small_masks(coefficients, proto, picture)
    if not len(small):
        return torch.zeros(0, dtype=torch.bool, device=small.device)
    h, w = small.shape[-2:]
    positive = small > 0
    y0, y1 = _span(boxes[:, 1], boxes[:, 3], size[0], h)
    x0, x1 = _span(boxes[:, 0], boxes[:, 2], size[1], w)
    rows, columns = torch.arange(h, device=small.device), torch.arange(w, device=small.device)

    def within(low: Tensor, high: Tensor, at: Tensor) -> Tensor:
        return (at >= low[:, None]) & (at <= high[:, None])

    near = within(y0 - 1, y1 + 1, rows)[:, :, None] & within(x0 - 1, x1 + 1, columns)[:, None, :]
    possible = (positive & near).flatten(1).any(1)
    # all of a 3 x 3 block is positive and its middle cell lies wholly in the box: every pixel of that cell is positive
    across = positive[:, :, :-2] & positive[:, :, 1:-1] & positive[:, :, 2:]
    block = across[:, :-2] & across[:, 1:-1] & across[:, 2:]
    whole = within(y0 + 1, y1 - 1, rows[1:-1])[:, :, None] & within(x0 + 1, x1 - 1, columns[1:-1])[:, None, :]
    certain = (block & whole).flatten(1).any(1)
    open_ = torch.nonzero(possible & ~certain).flatten()
    certain[open_] = _has_pixel(small[open_], boxes[open_], size)
    return certain


def _span(low: Tensor, high: Tensor, pixels: int, cells: int) -> tuple[Tensor, Tensor]:
    """First and last cell that a box touches along one axis."""
    return (low * cells / pixels).floor(), (high * cells / pixels).floor()


def _has_pixel(small: Float[Tensor, "n H W"], boxes: Float[Tensor, "n 4"], size: Size) -> Bool[Tensor, " n"]:
    """The question itself: enlarge, cut at 0, and look inside of the box (pixel i counts where low <= i < high).

    Only the cells around the box are enlarged: with a margin of two cells and whole numbers of pixels per cell its
    pixels are interpolated from the same cells with the same weights.
    """
    h, w = small.shape[-2:]
    sy, sx = size[0] // h, size[1] // w
    answers = []
    for mask, (x0, y0, x1, y1) in zip(small, boxes.tolist(), strict=True):
        top, bottom = max(0, int(y0 // sy) - 2), min(h, int(y1 // sy) + 3)
        left, right = max(0, int(x0 // sx) - 2), min(w, int(x1 // sx) + 3)
        if (sy * h, sx * w) != tuple(size):
            top, bottom, left, right = 0, h, 0, w
        if top >= bottom or left >= right:
            answers.append(False)
            continue
        part = mask[None, None, top:bottom, left:right]
        shape = size if part.shape[-2:] == (h, w) else (sy * (bottom - top), sx * (right - left))
        large = F.interpolate(part, shape, mode="bilinear")[0, 0] > 0
        rows, columns = torch.arange(shape[0]) + sy * top, torch.arange(shape[1]) + sx * left
        inside = ((rows >= y0) & (rows < y1))[:, None] & ((columns >= x0) & (columns < x1))
        answers.append(bool((large & inside.to(large.device)).any()))
    return torch.tensor(answers, dtype=torch.bool, device=small.device)
