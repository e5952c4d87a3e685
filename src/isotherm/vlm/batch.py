"""Several prompts of one form at once: as many pictures of the same sizes each, any words, padded on either side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import AdapterError, ShapeError
from isotherm.frame import Frame
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from isotherm.vlm.view import LanguageView

Side = Literal["left", "right"]
"""Where prompts that are shorter than the longest one are padded."""


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """Prompts, processed.

    Args:
        inputs: of the model; ``input_ids`` and all that goes with it padded to one length.
        texts: the b prompts in words.
        positions: (b, n) where in each row the vision tokens stand, picture after picture.
        last: (b) where each row's last token that is no padding stands.
        grids: of each picture of a prompt the grid that :func:`whole_grid` makes of its tokens, numbered among the n;
            the frames lead to the pictures that the prompts were made with.
    """

    inputs: Mapping[str, Any]
    texts: tuple[str, ...]
    positions: Int[Tensor, "b n"]
    last: Int[Tensor, " b"]
    grids: tuple[TokenGrid, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def features(self, states: Float[Tensor, "b t c"]) -> Float[Tensor, "b v c h w"]:
        """The states at the vision tokens as a grid for every picture; differentiable.

        Args:
            states: of the language model, (b, t, c).

        Raises:
            ShapeError: pictures whose grids have different sizes.
        """
        sizes = {grid.frame.size for grid in self.grids}
        if len(sizes) > 1:
            raise ShapeError(
                f"the pictures of a prompt become grids of {sorted(sizes)} cells; give pictures of one size, so that their maps can be one tensor"
            )
        token = torch.stack([grid.token for grid in self.grids]).to(self.positions.device)
        where = self.positions[:, token.flatten()].to(states.device)
        picked = states.gather(1, where[..., None].expand(-1, -1, states.shape[-1]))
        return picked.unflatten(1, tuple(token.shape)).permute(0, 1, 4, 2, 3)

    def at_last(self, states: Float[Tensor, "b t c"]) -> Float[Tensor, "b c"]:
        """The states at each prompt's last token, which in any language model know the whole prompt."""
        last = self.last.to(states.device)
        return states.gather(1, last[:, None, None].expand(-1, 1, states.shape[-1]))[:, 0]


@runtime_checkable
class BatchedView(LanguageView, Protocol):
    """A language view that takes several prompts at once and gives the states that a head reads."""

    def batch(
        self,
        pictures: Sequence[Sequence[Picture]],
        texts: Sequence[str],
        *,
        text_first: bool = False,
        side: Side | None = None,
    ) -> PromptBatch:
        """Prompts about as many pictures of the same sizes each.

        Args:
            pictures: of every prompt, in order.
            texts: one for every prompt.
            text_first: the words before the pictures.
            side: of the padding; None: as the model's tokenizer has it.
        """
        ...

    def states(self, batch: PromptBatch) -> Float[Tensor, "b t c"]:
        """The language model's last states, behind its final norm, in whatever grad mode and training mode is on."""
        ...


def whole_grid(picture: PictureTokens) -> TokenGrid:
    """One grid over a whole picture: the only one, or tiles put together, or else the one that shows most of it.

    Tiles of equal cells that cover a rectangle without a gap or an overlap are one grid, since their cells are evenly
    spaced; of several such rectangles the one with the most cells is taken.

    Args:
        picture: its tokens.

    Raises:
        AdapterError: they stand for no place.
    """
    if not picture.grids:
        raise AdapterError(picture.placeless)
    made = [grid for grid in (_joined(group) for group in _alike(picture.grids)) if grid is not None]
    return max(made or picture.grids, key=lambda grid: (round(_covered(grid), 3), grid.token.numel()))


def _alike(grids: Sequence[TokenGrid]) -> list[list[TokenGrid]]:
    groups: dict[tuple[float, ...], list[TokenGrid]] = {}
    for grid in grids:
        key = tuple(round(v, 4) for v in grid.frame.to_source[:, :2].flatten().tolist())
        groups.setdefault(key, []).append(grid)
    return list(groups.values())


def _joined(grids: list[TokenGrid]) -> TokenGrid | None:
    """Tiles of equal cells as one grid; None where they leave gaps or overlap."""
    if len(grids) == 1:
        return grids[0]
    first = grids[0].frame
    corners = torch.stack([first.points_from_source(g.frame.to_source[None, :, 2])[0] for g in grids])
    offset = corners.round()
    if float((corners - offset).abs().max()) > 1e-3:
        return None
    offset = (offset - offset.amin(0)).long()
    h = max(int(y) + g.frame.size[0] for (_, y), g in zip(offset, grids, strict=True))
    w = max(int(x) + g.frame.size[1] for (x, _), g in zip(offset, grids, strict=True))
    if h * w != sum(g.token.numel() for g in grids):
        return None
    token = torch.full((h, w), -1)
    for (x, y), grid in zip(offset.tolist(), grids, strict=True):
        rows, columns = grid.frame.size
        token[y : y + rows, x : x + columns] = grid.token
    if bool((token < 0).any()):
        return None
    start = corners[int((offset.sum(-1)).argmin())]
    return TokenGrid(_shifted(first, start, (h, w)), token)


def _shifted(frame: Frame, corner: Tensor, size: tuple[int, int]) -> Frame:
    move = torch.tensor([[1.0, 0.0, float(corner[0])], [0.0, 1.0, float(corner[1])]], dtype=torch.float64)
    return frame.warped(move, size)


def _covered(grid: TokenGrid) -> float:
    """Share of the picture that a grid's cells lie over."""
    h, w = (int(v) for v in grid.frame.source_size)
    rows, columns = grid.frame.size
    x0, y0, x1, y1 = grid.frame.boxes_to_source(torch.tensor([[0.0, 0.0, float(columns), float(rows)]]))[0].tolist()
    return max(0.0, min(x1, w) - max(x0, 0.0)) * max(0.0, min(y1, h) - max(y0, 0.0)) / (h * w)
