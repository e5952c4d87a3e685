"""Which positions of a layer's output are places of the picture: proved by moving a square of noise.

Shapes alone do not tell. (1, 8, 49, 96) is 8 heads of 49 tokens in one model and a map of 8 x 49 cells in none, but 8
heads of 8 tokens look like a square map, and 50 tokens may be 7 x 7 and one in front, or 6 x 8 and two. So the input is
filled with noise, a square of stronger noise is put on it in five places, and a reading of the output as rows and
columns is right if what changes moves along with the square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.cam.receptive import Follower
from isotherm.cam.view import Inputs, Layout
from isotherm.errors import ShapeError
from isotherm.frame import Size
from isotherm.models.shared.grids import fits, followed_layout

SQUARES = ((1, 1), (1, 7), (4, 4), (7, 1), (7, 7))
"""Where the centres of the squares are, (y, x) in eighths of the input: four in the corners and one in the middle, so
that y and x are unrelated.
"""
LEAST = 0.9
"""Least correlation between where the square is and where the output changes, in rows and in columns; of right
readings, networks with random weights showed .97 to 1.00 at every layer tried, of wrong ones at least one of the two is
below .5."""
EDGE = 1.5
"""Least ratio of the first row's changes."""
BEYOND = 1.0
"""Cells beyond the square's border within which the cell must lie that changes most. Tokens in another order, as
Hiera's are, whose centre of gravity still goes along with the square, miss it by several."""
CLEARER = 20.0
"""How many times larger the ratio of the first row's changes is of a right reading than of one that takes tokens in
front for a row of cells. An EoMT's 11 tokens in front of 4 x 4 cells, read as 7 and 5 x 4, showed 2 in place of 380."""
MOST_PREFIX = 16
"""Tokens in front that are no cells, of models that do not declare their number."""

Run = Callable[[Inputs], Any]


@dataclass(frozen=True)
class Reading:
    """A layout and how well the output's changes followed the square when read by it.

    Args:
        agreement: the lower of the correlations in rows and in columns, from -1 to 1; -1 where nothing changes.
        edge: how many times more the first row changes with the squares at the top than with those at the bottom.
            Everything else still follows where a whole row of tokens too many was taken for cells, but that row changes
            with all alike.
        beyond: how far beyond the square's border the middle of the cell lies that changes most, in cells, the worst
            of all places; negative within it.
    """

    layout: Layout
    agreement: float
    edge: float
    beyond: float = 0.0

    @property
    def proved(self) -> bool:
        """Whether the square proves the reading."""
        return self.agreement >= LEAST and self.edge >= EDGE and self.beyond <= BEYOND


def square_inputs(like: Inputs, *, seed: int = 0) -> Inputs:
    """Six rows: faint noise, and the same with a square of strong noise at each of the five places."""
    one = like.take([0])
    generator = torch.Generator().manual_seed(seed)
    faint, strong = (torch.randn(one.tensor.shape, generator=generator) * scale for scale in (0.5, 2.0))
    h, w = int(faint.shape[-2]), int(faint.shape[-1])
    rows = [faint]
    for y, x in SQUARES:
        top, bottom, left, right = (round((at + d) * side / 8) for at, side in ((y, h), (x, w)) for d in (-1, 1))
        row = faint.clone()
        row[..., top:bottom, left:right] = strong[..., top:bottom, left:right]
        rows.append(row)
    return one.take([0] * len(rows)).with_tensor(torch.cat(rows).to(one.tensor))


def judged(grid: Float[Tensor, "n c h w"], layout: Layout) -> Reading:
    """How well the changes of a grid, read by a layout, followed the square."""
    change = (grid[1:].double() - grid[:1].double()).square().sum(1)
    total = change.sum((1, 2))
    if not bool((total > 0).all()) or not bool(total.isfinite().all()):
        return Reading(layout, -1.0, 1.0)
    at = torch.tensor(SQUARES, dtype=torch.float64, device=change.device)
    correlations = []
    for axis, other in ((1, 2), (2, 1)):
        cells = torch.arange(change.shape[axis], dtype=torch.float64, device=change.device)
        centre = change.sum(other) @ cells / total
        correlations.append(_correlation(centre, at[:, axis - 1]))
    first = change[:, 0].sum(1) / total
    edge = float(first[:2].sum() / first[-2:].sum().clamp_min(1e-12))
    return Reading(layout, min(correlations), edge, _beyond(change, at))


def _beyond(change: Float[Tensor, "n h w"], at: Float[Tensor, "n 2"]) -> float:
    """How far beyond the square the cell lies that changes most, in cells along the worse axis of the worst place."""
    size = torch.tensor(change.shape[1:], dtype=torch.float64, device=change.device)
    strongest = change.flatten(1).argmax(1)
    middle = torch.stack([strongest // change.shape[2], strongest % change.shape[2]], 1) + 0.5
    return float(((middle - at / 8 * size).abs() - size / 8).max())


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    length = float(a.norm() * b.norm())
    return float(a @ b) / length if length > 1e-12 else 0.0


def readings(output: Tensor, size: Size) -> Iterator[Layout]:
    """Every way to read an output of (b, ...) as a grid over an input of ``size`` that its shape allows."""
    shape = tuple(output.shape)
    if output.ndim == 4:
        if min(shape[2:]) > 1 and fits((shape[2], shape[3]), size):
            yield Layout("nchw")
        if min(shape[1:3]) > 1 and fits((shape[1], shape[2]), size):
            yield Layout("nhwc")
    elif output.ndim == 3:
        for prefix in range(min(MOST_PREFIX, shape[1]) + 1):
            cells = shape[1] - prefix
            for h in range(2, cells // 2 + 1):
                if cells % h == 0 and _of_one_patch((h, cells // h), size):
                    yield Layout("tokens", prefix, (h, cells // h))


def _of_one_patch(grid: Size, size: Size) -> bool:
    """True where square patches of one side, the last of each row whole, padded or dropped, make this grid of an input
    of that size.
    """
    least = max(n / (g + 1) for g, n in zip(grid, size, strict=True))
    most = min(n / (g - 1) if g > 1 else n for g, n in zip(grid, size, strict=True))
    return least < most


def best_reading(outputs: Tensor, layouts: list[Layout]) -> Reading | None:
    """The reading that the square proves, of the rows of :func:`square_inputs`, or else the best of them; None where
    there is none to try.

    Of several numbers of tokens in front that are proved, the least is right: with a whole row of cells left out the
    rest still follows. But where the first row follows far more clearly with more tokens in front, those are no cells.
    """
    tried: list[Reading] = []
    for layout in layouts:
        try:
            tried.append(judged(layout.to_grid(outputs), layout))
        except ShapeError:
            continue
    proved = [reading for reading in tried if reading.proved]
    if proved:
        clearest = max(reading.edge for reading in proved)
        clear = [reading for reading in proved if reading.edge * CLEARER >= clearest]
        return min(clear, key=lambda reading: (reading.layout.prefix, -reading.agreement))
    return max(tried, key=lambda reading: reading.agreement, default=None)


def moved(model: nn.Module, run: Run, like: Inputs, layers: dict[str, list[Layout]]) -> dict[str, Reading]:
    """The best reading of each layer, from one pass over :func:`square_inputs`; layers without any are left out.

    Args:
        layers: names, and the layouts to try; those that the shape allows are tried beside them.
    """
    squares = square_inputs(like)
    size = (int(squares.tensor.shape[-2]), int(squares.tensor.shape[-1]))
    best_of: dict[str, Reading] = {}
    follower = Follower(squares.tensor)

    def hook_of(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _args: Any, output: Any) -> None:
            if (
                not isinstance(output, Tensor)
                or name in best_of
                or output.ndim not in (3, 4)
                or len(output) != len(squares)
            ):
                return
            layout = followed_layout(module, output, follower) if output.ndim == 4 else None
            if layout is not None:
                best_of[name] = Reading(layout, 1.0, torch.inf)
                return
            best = best_reading(
                output.detach(), [*layers[name], *(r for r in readings(output, size) if r not in layers[name])]
            )
            if best is not None:
                best_of[name] = best

        return hook

    handles = [model.get_submodule(name).register_forward_hook(hook_of(name)) for name in layers]
    try:
        with torch.no_grad(), evaluating(model), follower:
            run(squares)
    finally:
        for handle in handles:
            handle.remove()
    return best_of
