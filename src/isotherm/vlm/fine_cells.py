"""Cells finer than vision tokens: where relevance is gathered that was followed back to pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.frame import Frame, Size
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from isotherm.vlm.view import PromptInputs

PER_TOKEN = 8
"""Cells along the side of a vision token."""
MOST = 256
"""Cells along a side of a picture."""
SMALL = 0.25
"""Which part of all tokens is small: tiles are many, and single tokens are odd where they are measured."""
BLUR = 3.0
"""Standard deviation in cells, three eighths of a token: where single pixels of an object have their gradient is
chance, where they are many is not. Of 1, 2 and 3 this one tells shapes from other shapes best (``bench/vlm.py``).
"""


def fine_cells(prompt: PromptInputs) -> tuple[PictureTokens, ...]:
    """A grid over what is seen of each picture of a prompt, :data:`PER_TOKEN` cells for the side of its small tokens,
    none of them smaller than a pixel.
    """
    return tuple(_cells(picture) for picture in prompt.pictures)


def _cells(picture: PictureTokens) -> PictureTokens:
    h, w = picture.size
    x0, y0, x1, y1 = 0, 0, w, h
    step = torch.tensor([max(h, w) / MOST] * 2)
    if picture.grids:
        corners = torch.cat([_corners(grid.frame) for grid in picture.grids])
        # whole pixels, any part of which is seen
        (left, top), (right, bottom) = corners.amin(0).floor().tolist(), corners.amax(0).ceil().tolist()
        x0, y0, x1, y1 = max(0, int(left)), max(0, int(top)), min(w, int(right)), min(h, int(bottom))
        sizes = torch.cat([grid.frame.cell_size.expand(grid.token.numel(), 2) for grid in picture.grids])
        step = sizes.quantile(SMALL, 0, interpolation="nearest") / PER_TOKEN
    sides = (y1 - y0, float(step[1])), (x1 - x0, float(step[0]))
    rows, columns = (max(1, min(round(side / max(one, 1.0)), MOST)) for side, one in sides)
    frame = Frame.identity(picture.size).cropped((x0, y0, x1, y1)).resized((rows, columns))
    grid = TokenGrid(frame, torch.arange(rows * columns).view(rows, columns))
    return PictureTokens(picture.size, (grid,), rows * columns)


def _corners(frame: Frame) -> Float[Tensor, "2 2"]:
    rows, columns = frame.size
    return frame.boxes_to_source(torch.tensor([[0.0, 0.0, columns, rows]], dtype=torch.float64)).view(2, 2)


def blurred(values: Float[Tensor, " n"], places: Sequence[PictureTokens]) -> Float[Tensor, " n"]:
    """Values of :func:`fine_cells`, each spread over its neighbours as a Gaussian has it; their sum stays."""
    parts = values.split([place.count for place in places])
    spread = []
    for part, place in zip(parts, places, strict=True):
        rows, columns = (_spreading(count).to(part) for count in place.grids[0].token.shape)
        spread.append((rows @ part.view(place.grids[0].token.shape) @ columns.T).flatten())
    return torch.cat(spread)


def _spreading(count: int) -> Float[Tensor, "n n"]:
    """How much each cell of a row gives to each; what would leave the row stays in the cells that are near its end."""
    places = torch.arange(count, dtype=torch.float64)
    near = torch.exp(-0.5 * ((places[:, None] - places) / BLUR) ** 2)
    return near / near.sum(0)


def on_tokens(
    values: Float[Tensor, " n"], places: Sequence[PictureTokens], pictures: Sequence[PictureTokens]
) -> Float[Tensor, " t"]:
    """The mean of the cells whose centre lies in each vision token; 0 for those that stand for no place.

    Args:
        values: of the cells of ``places``.
        places: of :func:`fine_cells`.
        pictures: the tokens of the same pictures.
    """
    means = []
    parts = values.split([place.count for place in places])
    for part, place, picture in zip(parts, places, pictures, strict=True):
        total, cells = torch.zeros(2, picture.count, dtype=torch.float64)
        centres = place.grids[0].frame.points_to_source(_centres(place.grids[0].frame.size))
        for grid in picture.grids:
            x, y = grid.frame.points_from_source(centres).floor().long().unbind(-1)
            rows, columns = grid.frame.size
            inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
            token = grid.token[y[inside], x[inside]]
            total.index_add_(0, token, part.detach().cpu().double()[inside])
            cells.index_add_(0, token, torch.ones(len(token), dtype=torch.float64))
        means.append(total / cells.clamp(min=1))
    return torch.cat(means).float()


def _centres(size: Size) -> Float[Tensor, "n 2"]:
    ys, xs = torch.meshgrid(*(torch.arange(count).double() + 0.5 for count in size), indexing="ij")
    return torch.stack([xs, ys], -1).view(-1, 2)
