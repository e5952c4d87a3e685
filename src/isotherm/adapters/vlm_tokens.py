"""Which pixels each vision token of a language model stands for: grids of tokens with frames, and the proof that they are right."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from isotherm.errors import AdapterError, ShapeError
from isotherm.frame import Frame, Size


@dataclass(frozen=True, eq=False)
class TokenGrid:
    """A tile of a picture and the tokens that it became.

    Args:
        frame: of (h, w) cells on the source picture. token: (h, w) the number of each cell's token among those of its picture, in the
            order in which the language model has them.
    """

    frame: Frame
    token: Int[Tensor, "h w"]

    def __post_init__(self) -> None:
        if tuple(self.token.shape) != self.frame.size:
            raise ShapeError(f"token has shape {tuple(self.token.shape)} and the frame {self.frame.size} cells; expected the same")


@dataclass(frozen=True, eq=False)
class PictureTokens:
    """One picture of a prompt.

    Args:
        size: (h, w) of the source picture. grids: its tiles; several where it is cut up, and they may overlap. count: of its tokens; those
            that are in no grid, such as ends of rows, stand for no place.
    """

    size: Size
    grids: tuple[TokenGrid, ...]
    count: int

    def seen(self) -> Bool[Tensor, "h w"]:
        """Where a pixel's centre lies in any cell; the model knows nothing of the others, and a map must not say 0 there."""
        h, w = self.size
        ys, xs = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        centres = torch.stack([xs, ys], -1).view(-1, 2).double()
        found = torch.zeros(h * w, dtype=torch.bool)
        for grid in self.grids:
            cells = grid.frame.points_from_source(centres)
            rows, columns = grid.frame.size
            found |= (cells[:, 0] >= 0) & (cells[:, 0] < columns) & (cells[:, 1] >= 0) & (cells[:, 1] < rows)
        return found.view(h, w)


class VisionLayout(ABC):
    """Abstract: what a family's processor does to pictures."""

    @abstractmethod
    def pictures(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[PictureTokens]:
        """The tokens of every picture of a processed prompt.

        Args:
            inputs: what the processor gave. sizes: (h, w) of the source pictures, in the prompt's order.
        """

    @abstractmethod
    def pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        """The mean normalised colour of what each token is made from, picture by picture, in the order of the tokens."""


def coordinate_picture(size: Size) -> UInt8[np.ndarray, "h w 3"]:
    """A picture whose pixels say where they are: red grows from left to right, green from top to bottom, blue is even."""
    h, w = size
    picture = np.full((h, w, 3), 128, np.uint8)
    picture[..., 0] = np.round((np.arange(w) + 0.5) / w * 255).astype(np.uint8)
    picture[..., 1] = np.round((np.arange(h) + 0.5) / h * 255).astype(np.uint8)[:, None]
    return picture


def check_layout(
    layout: VisionLayout, inputs: Mapping[str, Any], sizes: Sequence[Size], *, mean: Sequence[float], std: Sequence[float], name: str = "the model"
) -> float:
    """Prove that the tokens of :func:`coordinate_picture` say of themselves to lie where the layout puts them.

    Args:
        inputs: coordinate pictures of these sizes through the processor. mean, std: its normalisation of colours from 0 to 1.

    Returns:
        The largest distance between where a token lies and where its pixels come from, in cells.

    Raises:
        AdapterError: half a cell or more: the layout is not that of the processor, and no map is made by a guess.
    """
    worst = 0.0
    for picture, normalised in zip(layout.pictures(inputs, sizes), layout.pixels(inputs, sizes), strict=True):
        h, w = picture.size
        if len(normalised) != picture.count:
            raise AdapterError(f"{name} makes {len(normalised)} vision tokens of a picture of {h} x {w}; its layout says {picture.count}")
        colour = normalised.double() * torch.tensor(std, dtype=torch.float64) + torch.tensor(mean, dtype=torch.float64)
        for grid in picture.grids:
            rows, columns = grid.frame.size
            told = (colour[grid.token.flatten(), :2] * torch.tensor([w, h])).view(rows, columns, 2)
            ys, xs = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
            stated = grid.frame.points_to_source(torch.stack([xs, ys], -1).view(-1, 2).double()).view(rows, columns, 2)
            # where a cell reaches beyond the picture its mean colour is not its centre's
            inner = _inside(grid.frame, picture.size)
            apart = ((told - stated) / grid.frame.cell_size.double()).abs().amax(-1)[inner]
            # bytes know a place to 1/255 of the side, which may be more than a cell
            unsure = torch.tensor([w, h]) / 255 / grid.frame.cell_size.double()
            excess = float((apart - float(unsure.max())).clamp(min=0).max()) if len(apart) else 0.0
            worst = max(worst, excess)
    if worst >= 0.5:
        raise AdapterError(f"the vision tokens of {name} do not lie where its layout says, by {worst:.1f} cells; explaining it would point elsewhere, so it is refused")
    return worst


def _inside(frame: Frame, size: Size) -> Bool[Tensor, "h w"]:
    rows, columns = frame.size
    ys, xs = torch.meshgrid(torch.arange(rows).double(), torch.arange(columns).double(), indexing="ij")
    boxes = frame.boxes_to_source(torch.stack([xs, ys, xs + 1, ys + 1], -1).view(-1, 4))
    h, w = size
    return ((boxes[:, 0] >= -1e-6) & (boxes[:, 1] >= -1e-6) & (boxes[:, 2] <= w + 1e-6) & (boxes[:, 3] <= h + 1e-6)).view(rows, columns)
