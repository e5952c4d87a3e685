"""Which pixels a vision token stands for: grids of tokens with frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size


@dataclass(frozen=True, eq=False)
class TokenGrid:
    """A tile of a picture and the tokens that it became.

    Args:
        frame: of (h, w) cells on the source picture.
        token: (h, w) the number of each cell's token among those of its picture, in the order in which the language
            model has them.
    """

    frame: Frame
    token: Int[Tensor, "h w"]

    def __post_init__(self) -> None:
        if tuple(self.token.shape) != self.frame.size:
            raise ShapeError(
                f"token has shape {tuple(self.token.shape)} and the frame {self.frame.size} cells; expected the same"
            )


@dataclass(frozen=True, eq=False)
class PictureTokens:
    """One picture of a prompt.

    Args:
        size: (h, w) of the source picture.
        grids: its tiles; several where it is cut up, and they may overlap.
        count: of its tokens; those that are in no grid, such as ends of rows, stand for no place.
        off: (median, largest) distance of a token's place, where places were measured, from its cell's centre, in
            pixels of the source; None where they are known exactly.
        placeless: why its tokens are not known to stand for any place; then it has no grids.
    """

    size: Size
    grids: tuple[TokenGrid, ...]
    count: int
    off: tuple[float, float] | None = None
    placeless: str = ""

    def seen(self) -> Bool[Tensor, "h w"]:
        """Where a pixel's centre lies in any cell; the model knows nothing of the others, and a map must not say 0
        there.
        """
        h, w = self.size
        ys, xs = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        centres = torch.stack([xs, ys], -1).view(-1, 2).double()
        seen = torch.zeros(h * w, dtype=torch.bool)
        for grid in self.grids:
            cells = grid.frame.points_from_source(centres)
            rows, columns = grid.frame.size
            seen |= (cells[:, 0] >= 0) & (cells[:, 0] < columns) & (cells[:, 1] >= 0) & (cells[:, 1] < rows)
        return seen.view(h, w)
