"""The model itself is the judge of where its vision tokens lie: pixels that change have to move the tokens that stand for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isotherm.models.transformers.vlm.prompts import entering
from isotherm.relevance.still import still_attention
from isotherm.vlm.tokens import PictureTokens


@dataclass(frozen=True)
class Verdict:
    """What came of it.

    Args:
        tried: tokens whose pixels were changed.
        hit: of which this one, among those of its grid, moved most.
        near: the least share of a grid's movement that lay within the token and those around it.
        stray: the largest movement of a token of another picture, over that of the token.
    """

    tried: int
    hit: int
    near: float
    stray: float

    @property
    def right(self) -> bool:
        """Whether every token that was tried lies where it is said to lie, give or take one in twelve."""
        return (
            self.tried > 0
            and self.hit >= self.tried - max(1, self.tried // 12)
            and self.near > 0.5
            and self.stray < 1e-3
        )


def black_box(view, sizes, *, most: int = 12, still: bool = True) -> Verdict:
    """Change the middle of a token's cell, and see what moves as it enters the language model.

    Args:
        view: of a model of transformers.
        sizes: (h, w) of the pictures of one prompt.
        most: tokens that are tried.
        still: attention passes nothing on meanwhile.
    """
    rng = np.random.default_rng(0)
    noise = [rng.integers(64, 192, (*size, 3), dtype=np.uint8) for size in sizes]
    prompt = view.ask(noise, "?")

    def read(pictures):
        with still_attention() if still else torch.no_grad():
            return entering(view.model, view.processor, pictures, token_id=view._token, name=view.name)[0]

    before = read(noise)
    cells = [(k, g, i, j) for k, p in enumerate(prompt.pictures) for g in p.grids for i, j in _inner(p, g)]
    hit, near, stray = 0, 1.0, 0.0
    chosen = rng.permutation(len(cells))[:most]
    for index in chosen:
        k, grid, i, j = cells[index]
        x0, y0, x1, y1 = grid.frame.boxes_to_source(torch.tensor([[j + 0.25, i + 0.25, j + 0.75, i + 0.75]]).double())[
            0
        ].tolist()
        changed = [picture.copy() for picture in noise]
        left, top = max(int(x0), 0), max(int(y0), 0)  # a cell at the edge may reach beyond it
        changed[k][top : max(int(y1), top + 1), left : max(int(x1), left + 1)] ^= 0xFF
        moved = (read(changed) - before).norm(dim=1)
        first, last = prompt.first[k], prompt.first[k + 1]
        mine = moved[first:last][grid.token]
        hit += int(mine.argmax()) == i * grid.token.shape[1] + j
        near = min(near, float(mine[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].sum() / mine.sum().clamp(min=1e-12)))
        others = torch.cat([moved[:first], moved[last:]])
        stray = max(stray, float(others.max() / mine[i, j].clamp(min=1e-12)) if len(others) else 0.0)
    return Verdict(len(chosen), hit, near, stray)


def _inner(picture: PictureTokens, grid):
    """Cells whose middle lies in the picture."""
    rows, columns = grid.frame.size
    h, w = picture.size
    for i in range(rows):
        for j in range(columns):
            x, y = grid.frame.points_to_source(torch.tensor([[j + 0.5, i + 0.5]]).double())[0].tolist()
            if 1 <= x < w - 1 and 1 <= y < h - 1:
                yield i, j


def covered_box(view, size=(48, 64)) -> int:
    """How many of four places of a square of noise on grey the strongest cell of the map of covered pixels lies on, whole or in part: there is nothing to hide elsewhere."""
    from isotherm.vlm.explain import explain_answer
    from isotherm.vlm.methods import Occlusion
    from isotherm.vlm.scores import NextToken

    h, w = size
    noise = np.random.default_rng(0).integers(0, 256, (h // 4, w // 4, 3), dtype=np.uint8)
    noise = (noise.astype(int) - noise.mean((0, 1)).astype(int) + 128).clip(0, 255).astype(np.uint8)
    right = 0
    for top, left in ((0, 0), (0, w - w // 4), (h // 2, w // 3), (h - h // 4, w // 8)):
        picture = np.full((h, w, 3), 128, np.uint8)
        picture[top : top + h // 4, left : left + w // 4] = noise
        (one,) = explain_answer(
            view, [picture], "?", score=NextToken(), methods=[Occlusion(cells=8, square=1)], trust="off"
        )
        values = torch.as_tensor(one.values).abs()
        row, column = divmod(int(values.argmax()), values.shape[1])
        cell = torch.tensor([[column, row, column + 1, row + 1]]).double()
        x0, y0, x1, y1 = one.frame.boxes_to_source(cell)[0].tolist()
        right += (
            x1 > left and x0 < left + w // 4 and y1 > top and y0 < top + h // 4
        )  # the cell hides some of the square
    return right
