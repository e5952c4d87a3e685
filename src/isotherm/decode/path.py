"""Paths over a map: the cheapest way from one place to another, where high values are good to cross."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError, TargetError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.tensors import check_tensors

STEPS = ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 2**0.5), (1, -1, 2**0.5))
"""To the right, down, and both diagonals: rows, columns, length in cells; the others are the same backwards."""


@dataclass(frozen=True, eq=False)
class Path:
    """A way over a map.

    Args:
        xy: (n, 2) in source pixels, from start to goal: the two as they were wanted, centres of cells between them.
        cost: of all steps between the cells.
    """

    xy: Float[Tensor, "n 2"]
    cost: float


def plan_path(
    heatmap: Heatmap | Float[Tensor, "h w"],
    start: tuple[float, float] | Float[Tensor, " 2"],
    goal: tuple[float, float] | Float[Tensor, " 2"],
    *,
    frame: Frame | None = None,
    length_weight: float = 0.05,
    blocked: Bool[Tensor, "h w"] | None = None,
) -> Path:
    """The cheapest path from cell to neighbouring cell, diagonals included.

    A step costs its length in cells, times what its two cells cost in the mean. A cell costs ``length_weight`` where
    the map is highest, and 1 more where it is lowest.

    Args:
        heatmap: a single map of any kind, or values (h, w); NaN cells are blocked.
        start, goal: (x, y) in source pixels, inside of the map.
        frame: of plain values; without one places are in cells.
        length_weight: above 0; the larger, the straighter the path.
        blocked: (h, w) cells that are never entered.

    Raises:
        OptionError: a place outside of the map, or in a blocked cell; a length_weight that is not above 0.
        ShapeError: no map, several, places that are no (x, y), or a mask of another kind or size.
        TargetError: no way leads from start to goal.

    Source: Dijkstra, "A note on two problems in connexion with graphs" (1959).

    Example:
        >>> wall = torch.ones(5, 5)
        >>> wall[:4, 2] = 0.0  # good to cross everywhere but for a wall with a gap below
        >>> plan_path(wall, (0.5, 0.5), (4.5, 0.5)).xy[:, 1].max().item()
        4.5
    """
    values, frame = _map(heatmap, frame)
    if not 0 < length_weight < float("inf"):
        raise OptionError(f"length_weight is {length_weight}; expected a finite number above 0")
    if blocked is not None:
        check_tensors(blocked=blocked)
        if blocked.dtype != torch.bool:
            raise ShapeError(
                f"blocked has dtype {blocked.dtype}; expected torch.bool, True in cells that are never entered"
            )
    if blocked is not None and blocked.shape != values.shape:
        raise ShapeError(
            f"blocked has shape {tuple(blocked.shape)}; expected {tuple(values.shape)}, one value per cell"
        )
    closed = ~torch.isfinite(values) if blocked is None else ~torch.isfinite(values) | blocked.to(values.device)
    ends = torch.stack([_place(start, "start"), _place(goal, "goal")])
    cells = [
        _cell(place, closed, name)
        for name, place in zip(("start", "goal"), frame.points_from_source(ends).tolist(), strict=True)
    ]
    way, cost = _cheapest(_costs(values, closed, length_weight), closed.numpy(), cells[0], cells[1])
    w = values.shape[1]
    centres = torch.tensor([[i % w + 0.5, i // w + 0.5] for i in way], dtype=torch.float64)
    xy = frame.points_to_source(centres)
    # from where it was asked to begin to where it was asked to end
    inner = xy[1:-1] if len(way) > 1 else xy[:0]
    return Path(torch.cat([ends[:1], inner, ends[1:]]).float(), cost)


def _map(heatmap: Heatmap | Tensor, frame: Frame | None) -> tuple[Tensor, Frame]:
    if not isinstance(heatmap, Heatmap):
        check_tensors(heatmap=heatmap)
    values = heatmap.values if isinstance(heatmap, Heatmap) else heatmap
    values = values.detach().cpu().double()
    if values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values.ndim != 2 or values.numel() == 0:
        raise ShapeError(f"the map has shape {tuple(values.shape)}; expected a single one, (h, w): index it first")
    if isinstance(heatmap, Heatmap):
        if frame is not None:
            raise ShapeError("a Heatmap has its own frame; leave frame out")
        frame = heatmap.frame
    return values, Frame.identity((values.shape[0], values.shape[1])) if frame is None else frame


def _place(place: tuple[float, float] | Tensor, name: str) -> Tensor:
    """(2) as it was given, whatever holds its two numbers."""
    try:
        read = torch.as_tensor(place, dtype=torch.float64).detach().cpu().flatten()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"{name} is {place!r}; expected the two numbers (x, y) of a place") from error
    if read.shape != (2,):
        raise ShapeError(f"{name} has {read.numel()} number(s); expected the two numbers (x, y) of a place")
    return read


def _costs(values: Tensor, closed: Tensor, length_weight: float) -> np.ndarray:
    open_values = values[~closed]
    low, high = (open_values.min(), open_values.max()) if open_values.numel() else (values.new_zeros(()),) * 2
    spread = high - low if float(high - low) > 0 else torch.ones_like(high)
    return torch.where(closed, 0.0, length_weight + (high - values) / spread).nan_to_num(0.0).numpy()


def _cell(place: list[float], closed: Tensor, name: str) -> int:
    h, w = closed.shape
    x, y = place
    if not (0 <= x <= w and 0 <= y <= h):
        raise OptionError(
            f"{name} lies at cell ({x:.1f}, {y:.1f}) of a map of {h} x {w} cells; give a place inside of it"
        )
    column, row = min(int(x), w - 1), min(int(y), h - 1)
    if bool(closed[row, column]):
        raise OptionError(f"{name} lies in cell ({column}, {row}), which is blocked; give a place in a free one")
    return row * w + column


def _cheapest(cost: np.ndarray, closed: np.ndarray, start: int, goal: int) -> tuple[list[int], float]:
    """The cells from start to goal, and what the way costs."""
    from scipy.sparse import coo_array  # a fifth of a second that few need
    from scipy.sparse.csgraph import dijkstra

    h, w = cost.shape
    number = np.arange(h * w).reshape(h, w)
    parts = []
    for down, across, length in STEPS:
        here = slice(0, h - down), slice(max(0, -across), w - max(0, across))
        there = slice(down, h), slice(max(0, across), w - max(0, -across))
        free = ~(closed[here] | closed[there])
        weight = length * (cost[here] + cost[there]) / 2
        parts.append((number[here][free], number[there][free], weight[free]))
    first, second, weight = (np.concatenate(p) for p in zip(*parts, strict=True))
    graph = coo_array((weight, (first, second)), shape=(h * w, h * w)).tocsr()
    total, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    if not np.isfinite(total[goal]):
        raise TargetError("no way leads from start to goal: blocked cells part them; free some of them")
    way = [goal]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    return way[::-1], float(total[goal])
