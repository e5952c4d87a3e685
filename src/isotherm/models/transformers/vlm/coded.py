"""Which place of a picture each value that a vision tower is fed was made from, whatever a processor does to pictures.

Pictures that say where they are go through the processor: one grows brighter from left to right, one does so again and
again, and so from top to bottom. Between them a value knows its place far better than its 256 levels of brightness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import MethodError
from isotherm.frame import Size
from isotherm.vlm.tokens import PictureTokens, TokenGrid

PERIOD = 32.0
"""Cells in which the second picture grows bright and dark again."""
LEVELS = 16
"""Of brightness, which say the number of a picture among those of a prompt, digit by digit."""
SEEN = 0.05
"""Of the most that black and white do to a value: one to which they do less was made from no pixel."""

Feed = Callable[[Sequence[Picture]], Tensor]


def cells_of_values(feed: Feed, sizes: Sequence[Size], places: Sequence[PictureTokens]) -> Int[Tensor, " v"]:
    """For each value that the vision tower is fed the number of the cell that it was made from; -1 where of none.

    Args:
        feed: makes those values of pictures.
        sizes: (h, w) of the pictures, or of a video's frames.
        places: the cells of each picture, a grid; or of each moment of a video, which has as many frames as there are
            for each.

    Raises:
        MethodError: the processor does not make as many values of each picture of a size.
    """
    per_place = -(-len(sizes) // len(places))
    grids = [places[i // per_place].grids[0] for i in range(len(sizes))]
    black = _fed(feed, [np.zeros((*size, 3), np.uint8) for size in sizes])
    span = _fed(feed, [np.full((*size, 3), 255, np.uint8) for size in sizes], len(black)) - black
    seen = span.abs() > SEEN * span.abs().max()

    def brightness(pictures: Sequence[Picture]) -> Float[Tensor, " v"]:
        return ((_fed(feed, pictures, len(black)) - black) / torch.where(seen, span, 1.0)).clamp(0, 1)

    which = torch.zeros(int(seen.sum()), dtype=torch.long)
    if len(sizes) > 1:
        which = _numbers(brightness, sizes)[seen] // per_place
    counts = torch.tensor([place.grids[0].token.shape for place in places])
    first = torch.tensor([0, *(place.count for place in places)]).cumsum(0)
    at = [_along(axis, brightness, sizes, grids, counts[which, axis], seen) for axis in (0, 1)]
    cells = torch.full(black.shape, -1, dtype=torch.long)
    cells[seen] = first[which] + at[0] * counts[which, 1] + at[1]
    return cells


def _fed(feed: Feed, pictures: Sequence[Picture], count: int | None = None) -> Float[Tensor, " v"]:
    values = feed(pictures).detach().cpu().float().flatten()
    if count is not None and len(values) != count:
        raise MethodError(
            f"the processor makes {len(values)} values of one picture and {count} of another of the same size, so it cannot be known where values come from; take a method that starts at the vision tokens, such as attention_gradient"
        )
    return values


def _numbers(brightness: Callable[[Sequence[Picture]], Tensor], sizes: Sequence[Size]) -> Int[Tensor, " v"]:
    """Of which picture each value was made."""
    number, unit = torch.tensor(0), 1
    while unit < len(sizes):  # digit by digit
        levels = [round(i // unit % LEVELS * 255 / (LEVELS - 1)) for i in range(len(sizes))]
        pictures = [np.full((*size, 3), level, np.uint8) for size, level in zip(sizes, levels, strict=True)]
        number = number + unit * (brightness(pictures) * (LEVELS - 1)).round().long()
        unit *= LEVELS
    return number.clamp(max=len(sizes) - 1)


def _along(
    axis: int,
    brightness: Callable[[Sequence[Picture]], Tensor],
    sizes: Sequence[Size],
    grids: Sequence[TokenGrid],
    counts: Int[Tensor, " s"],
    seen: Tensor,
) -> Int[Tensor, " s"]:
    """The row (axis 0) or column (1) of the cell that each value which was made from pixels lies in."""
    along = [_coordinate(size, grid, axis) for size, grid in zip(sizes, grids, strict=True)]
    once = [np.clip(at / grid.token.shape[axis], 0, 1) for at, grid in zip(along, grids, strict=True)]
    again = [1 - np.abs(at / PERIOD * 2 % 2 - 1) for at in along]
    rough = brightness([_painted(v, size, axis) for v, size in zip(once, sizes, strict=True)])[seen] * counts
    within = brightness([_painted(v, size, axis) for v, size in zip(again, sizes, strict=True)])[seen] * PERIOD / 2
    both = torch.stack([within, -within])
    both = both + ((rough - both) / PERIOD).round() * PERIOD
    at = torch.where((both[0] - rough).abs() <= (both[1] - rough).abs(), both[0], both[1])
    return torch.minimum(at.floor().clamp(min=0).long(), counts - 1)


def _coordinate(size: Size, grid: TokenGrid, axis: int) -> Float[np.ndarray, " l"]:
    """Of each of a picture's rows or columns the place of its middle, in cells."""
    middles = torch.arange(size[axis], dtype=torch.float64) + 0.5
    points = torch.stack([middles, middles], -1)
    at: np.ndarray = grid.frame.points_from_source(points)[:, 1 - axis].numpy()
    return at


def _painted(values: Float[np.ndarray, " l"], size: Size, axis: int) -> Picture:
    line = np.round(values * 255).astype(np.uint8)
    return np.broadcast_to(line[:, None, None] if axis == 0 else line[None, :, None], (*size, 3)).copy()
