"""Occlusion of pixels: what an answer loses when a square of the picture is covered, whatever the model makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.vlm.pixel_cells import pixel_cells, scores_without
from isotherm.vlm.tokens import PictureTokens
from isotherm.vlm.trace import TokenTrace
from isotherm.vlm.view import PromptInputs


@dataclass(frozen=True)
class Occlusion:
    """The mean fall of the score over the squares of pixels that cover a cell, with a square around each cell.

    The vision tower runs once for each cell. Nothing is asked of the vision tokens, so models are explained whose
    tokens stand for no place, as behind a resampler.

    Args:
        cells: along a picture's longer side.
        square: cells along the side of a square, an odd number.

    Source: Zeiler & Fergus, "Visualizing and understanding convolutional networks" (ECCV 2014), section 4.2.
    """

    cells: int = 12
    square: int = 3
    name: str = "occlusion"
    signed: bool = True
    additive: bool = False
    needs: frozenset[str] = frozenset({"rerun"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})
    covers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.cells < 2 or self.square < 1 or self.square % 2 == 0:
            raise OptionError(
                f"cells is {self.cells} and square {self.square}; expected at least 2 cells, and an odd number of them for the square"
            )

    def places(self, prompt: PromptInputs) -> tuple[PictureTokens, ...]:
        return pixel_cells(prompt, self.cells)

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        places = self.places(trace.question.prompt)
        squares = torch.block_diag(*(self._squares(place) for place in places)).bool()
        lost = trace.score - scores_without(trace, places, squares, stage=self.name)
        covers = squares.to(lost)
        return lost @ covers / covers.sum(0)

    def _squares(self, place: PictureTokens) -> Float[Tensor, "n n"]:
        """Of each cell which ones the square around it covers."""
        (grid,) = place.grids
        near = [_near(count, self.square // 2) for count in grid.token.shape]
        return torch.kron(near[0], near[1])


def _near(count: int, most: int) -> Float[Tensor, "n n"]:
    numbers = torch.arange(count)
    near: Bool[Tensor, "n n"] = (numbers[:, None] - numbers).abs() <= most
    return near.float()
