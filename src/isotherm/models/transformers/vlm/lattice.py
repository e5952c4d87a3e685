"""From where single vision tokens look to grids of them: rows of even steps, and rows of one form below each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.frame import Frame, Size
from isotherm.vlm.tokens import TokenGrid

LOOSE = 0.5
"""Of a step, by which a token's measured place may be off in its row."""
NEAR, FAR = 0.25, 2.0
"""Steps over what tokens see of a picture; nearer or farther than that they are no neighbours."""
AROUND = 4
"""Tokens before and behind one that are asked, too, how much a token sees."""
Places = list[list[float]]
"""Of each token, along a row and across it."""


def grids_of(
    centre: Float[Tensor, "n 2"], width: Float[Tensor, "n 2"], token: Int[Tensor, " n"], size: Size
) -> tuple[tuple[TokenGrid, ...], Float[Tensor, " n"]]:
    """Grids that hold all tokens, as few as their places allow, and how far off its cell's centre each token was
    measured, in cells.

    A grid's frame is fitted to the places of all its tokens, so it is more exact than any of them.

    Args:
        centre, width: of what each token sees, (x, y) in pixels.
        token: their numbers, in the order of the prompt; the tokens of a row, or of a column, stand together in it.
        size: (h, w) of the picture.
    """
    usual = _medians(width)
    across = _stacks(centre.tolist(), usual.tolist())
    down = _stacks(centre.flip(1).tolist(), usual.flip(1).tolist())
    stacks = [torch.tensor(rows) for rows in across] if len(across) <= len(down) else [torch.tensor(c).T for c in down]
    grids, off = [], torch.zeros(len(token), dtype=torch.float64)
    for index in stacks:
        frame, apart = _fitted(centre[index], width[index], size)
        grids.append(TokenGrid(frame, token[index]))
        off[index.flatten()] = apart.flatten()
    return tuple(grids), off


def covered(grids: Sequence[TokenGrid], size: Size) -> float:
    """The area of all cells over that of the picture."""
    area = sum(float(grid.frame.cell_size.prod()) * grid.token.numel() for grid in grids)
    return area / (size[0] * size[1])


class _Run:
    """Things that follow each other in even steps along one axis, at one level of the other."""

    def __init__(self, at: float, level: float, width: float, height: float) -> None:
        self.places, self.level, self.width, self.height = [at], level, width, height

    @property
    def step(self) -> float:
        """From one to the next; of a single one, what it sees."""
        several = len(self.places) > 1
        return (self.places[-1] - self.places[0]) / (len(self.places) - 1) if several else self.width

    def goes_on(self, at: float, level: float) -> bool:
        """Whether the next one may lie there."""
        step = at - self.places[-1]
        # a step from one measured place to another is unsure itself
        even = abs(step - self.step) < LOOSE * self.step if len(self.places) > 2 else NEAR < step / self.step < FAR
        return even and abs(level - self.level) < LOOSE * self.height


def _stacks(places: Places, widths: Places) -> list[list[list[int]]]:
    """Rows of tokens, stacked."""
    rows: list[tuple[_Run, list[int]]] = []
    for i, ((at, level), (width, height)) in enumerate(zip(places, widths, strict=True)):
        if rows and rows[-1][0].goes_on(at, level):
            rows[-1][0].places.append(at)
            rows[-1][1].append(i)
        else:
            rows.append((_Run(at, level, width, height), [i]))
    stacks: list[tuple[_Run, _Run, list[list[int]]]] = []
    for row, tokens in rows:
        middle = sum(row.places) / len(row.places)
        level = sum(places[i][1] for i in tokens) / len(tokens)
        for run, above, several in stacks:
            alike = len(tokens) == len(several[-1]) and abs(row.step - above.step) < LOOSE * above.step
            if alike and run.goes_on(level, middle):
                run.places.append(level)
                several.append(tokens)
                break
        else:
            # what a stack's rows may be off sideways is told by a token, and not by the whole row
            stacks.append((_Run(level, middle, row.height, row.step), row, [tokens]))
    return [several for _, _, several in stacks]


def _medians(width: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Of each token and those before and behind it, as a single one's width is unsure."""
    some = min(AROUND, (len(width) - 1) // 2)
    padded = torch.cat([width[:some].flip(0), width, width[len(width) - some :].flip(0)])
    return padded.unfold(0, 2 * some + 1, 1).median(-1).values


def _fitted(
    centre: Float[Tensor, "r c 2"], width: Float[Tensor, "r c 2"], size: Size
) -> tuple[Frame, Float[Tensor, "r c"]]:
    """The frame that fits the places of a grid's tokens best, and how far off each of them is, in cells."""
    matrix, apart = torch.zeros(2, 3, dtype=torch.float64), torch.zeros(centre.shape[:2], dtype=torch.float64)
    for axis, count in ((0, centre.shape[1]), (1, centre.shape[0])):
        measured = centre[..., axis]
        places, cells = measured.mean(axis), torch.arange(count, dtype=torch.float64) + 0.5
        inner = cells - cells.mean()
        step = (inner @ places) / inner.square().sum() if count > 1 else width[..., axis].median()
        first = places.mean() - step * cells.mean()
        stated = (first + step * cells).unsqueeze(axis)
        apart = torch.maximum(apart, (measured - stated).abs() / step)
        matrix[axis, axis], matrix[axis, 2] = step, first
    return Frame(matrix, (centre.shape[0], centre.shape[1]), torch.tensor(size)), apart
