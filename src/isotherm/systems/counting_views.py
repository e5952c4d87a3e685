"""Views of a picture for counting: the whole, a grid of crops that overlap, quadrants, or boxes of the user's, and who
owns which place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from isotherm.errors import OptionError
from isotherm.frame import Size

Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in whole source pixels, edge-origin."""
Strategy = Literal["global", "comparison", "dense", "hybrid", "custom"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
LEAST = 16
"""Pixels of a view's shorter side, at least: a few vision tokens."""
SAMPLES = 48
"""Places a side at which it is found how much of a view is its own."""


@dataclass(frozen=True)
class CountView:
    """One thing to look at.

    Args:
        name: for a person.
        box: in source pixels.
        role: ``whole`` the picture, ``part`` one of the crops whose counts are put together, ``beside`` a crop that is
            only compared.
    """

    name: str
    box: Box
    role: Literal["whole", "part", "beside"] = "part"

    @property
    def size(self) -> Size:
        """(h, w) in source pixels."""
        x0, y0, x1, y1 = self.box
        return y1 - y0, x1 - x0


def views_of(
    size: Size,
    strategy: str,
    *,
    grid: tuple[int, int] = (3, 3),
    overlap: float = 0.2,
    crops: Sequence[Sequence[float]] = (),
) -> list[CountView]:
    """The views of a picture.

    - ``global``: the whole picture. ``comparison``: the whole beside one crop; without one, the middle half of each
      side.
    - ``dense``: ``grid`` (rows, columns) of crops. Each is a cell and, where there is a neighbour, half of ``overlap``
      x the cell's side more.
    - ``hybrid``: the whole, and quadrants that overlap in the same way. ``custom``: the boxes given.

    Args:
        size: (h, w) of the picture.
        crops: boxes (x0, y0, x1, y1) in its pixels.

    Raises:
        OptionError: a strategy, grid, overlap or box that cannot be.

    Example:
        >>> [view.box for view in views_of((100, 200), "dense", grid=(1, 2), overlap=0.2)]
        [(0, 0, 110, 100), (90, 0, 200, 100)]
    """
    h, w = size
    whole = CountView("whole picture", (0, 0, w, h), "whole")
    if strategy not in STRATEGIES:
        raise OptionError(f"strategy is {strategy!r}; expected one of {', '.join(STRATEGIES)}")
    if crops and strategy not in ("comparison", "custom"):
        raise OptionError(f"crop boxes go with the strategies comparison and custom; {strategy} chooses its own")
    boxes = [checked_box(box, size) for box in crops]
    if strategy == "global":
        return [whole]
    if strategy == "comparison":
        if len(boxes) > 1:
            raise OptionError(
                f"a comparison has one crop and {len(boxes)} were given; take the strategy custom for several"
            )
        box = boxes[0] if boxes else checked_box((w // 4, h // 4, w - w // 4, h - h // 4), size)
        return [whole, CountView("crop" if boxes else "middle", box, "beside")]
    if strategy == "custom":
        if not boxes:
            raise OptionError(
                "the strategy custom counts in boxes of yours and none was given; give at least one, x0,y0,x1,y1 in pixels"
            )
        return [CountView(f"crop {i + 1}", box) for i, box in enumerate(boxes)]
    rows, columns = (2, 2) if strategy == "hybrid" else grid
    crops_ = [CountView(name, box) for name, box in _grid(size, rows, columns, overlap)]
    return [whole, *crops_] if strategy == "hybrid" else crops_


def checked_box(box: Sequence[float], size: Size) -> Box:
    """A crop box in whole pixels, rounded outwards.

    Raises:
        OptionError: not four numbers, the wrong way round, outside of the picture, or too small to see anything in.
    """
    h, w = size
    shown = ",".join(f"{v:g}" for v in box)
    if len(box) != 4 or not all(np.isfinite(box)):
        raise OptionError(
            f"the crop {shown} has {len(box)} numbers; expected x0,y0,x1,y1, four finite numbers in pixels"
        )
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        raise OptionError(
            f"the crop {shown} ends before it starts; expected x0,y0,x1,y1 with x0 < x1 and y0 < y1 (not x, y, width, height)"
        )
    if x0 < 0 or y0 < 0 or x1 > w or y1 > h:
        raise OptionError(
            f"the crop {shown} reaches outside of the picture, which is {w} x {h} pixels (width x height); expected a box within it"
        )
    out = int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1))
    if min(out[2] - out[0], out[3] - out[1]) < LEAST:
        raise OptionError(
            f"the crop {shown} is {out[2] - out[0]} x {out[3] - out[1]} pixels; a model sees nothing in less than {LEAST} x {LEAST}"
        )
    return out


def _grid(size: Size, rows: int, columns: int, overlap: float) -> list[tuple[str, Box]]:
    h, w = size
    if not (1 <= rows <= 32 and 1 <= columns <= 32):
        raise OptionError(f"the grid is {rows} x {columns}; expected 1 to 32 rows and columns")
    if not 0 <= overlap < 1:
        raise OptionError(f"overlap is {overlap}; expected a share of a cell's side, from 0 to less than 1")
    if min(h / rows, w / columns) < LEAST:
        raise OptionError(
            f"a grid of {rows} x {columns} over {w} x {h} pixels (width x height) has cells below {LEAST} pixels; take fewer rows or columns"
        )
    ys, xs = _spans(h, rows, overlap), _spans(w, columns, overlap)
    return [
        (f"row {r + 1}, column {c + 1}", (xs[c][0], ys[r][0], xs[c][1], ys[r][1]))
        for r in range(rows)
        for c in range(columns)
    ]


def _spans(total: int, parts: int, overlap: float) -> list[tuple[int, int]]:
    cell = total / parts
    more = overlap * cell / 2
    return [(max(0, round(i * cell - more)), min(total, round((i + 1) * cell + more))) for i in range(parts)]


def depths(views: Sequence[CountView], size: Size, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "v n"]:
    """How far inside of each view places lie: pixels to the nearest of its sides that cuts the picture; -inf outside.

    A millionth of the distance along the other axis comes on top: it decides where the nearest sides of two views are
    the same line.
    """
    h, w = size
    x, y = xy[:, 0], xy[:, 1]
    out = np.empty((len(views), len(xy)))
    for i, view in enumerate(views):
        x0, y0, x1, y1 = view.box
        across = np.minimum(x - x0 if x0 > 0 else w, x1 - x if x1 < w else w)
        down = np.minimum(y - y0 if y0 > 0 else h, y1 - y if y1 < h else h)
        inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        out[i] = np.where(inside, np.minimum(across, down) + 1e-6 * np.maximum(across, down), -np.inf)
    return out


def owners(views: Sequence[CountView], size: Size, xy: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
    """The number of the view that a place lies deepest inside of, -1 where no view sees it.

    For a grid that is the cell without overlap: between two crops the border runs along the middle of what both see.
    """
    deep = depths(views, size, xy)
    return np.where(np.isneginf(deep.max(0)), -1, deep.argmax(0)) if len(xy) else np.zeros(0, np.int64)


def own_shares(views: Sequence[CountView], size: Size) -> Float[np.ndarray, " v"]:
    """Which part of each view's area it owns, 1 where nothing overlaps."""
    shares = []
    for i, view in enumerate(views):
        x0, y0, x1, y1 = view.box
        at = (np.arange(SAMPLES) + 0.5) / SAMPLES
        xs, ys = np.meshgrid(x0 + at * (x1 - x0), y0 + at * (y1 - y0))
        shares.append(float((owners(views, size, np.stack([xs.ravel(), ys.ravel()], -1)) == i).mean()))
    return np.array(shares)


def within(view: CountView, xy: Float[np.ndarray, "n 2"], margin: float = 0.0) -> Bool[np.ndarray, " n"]:
    """Which places a view sees, and those up to ``margin`` pixels beside it."""
    x0, y0, x1, y1 = view.box
    return (xy[:, 0] >= x0 - margin) & (xy[:, 0] <= x1 + margin) & (xy[:, 1] >= y0 - margin) & (xy[:, 1] <= y1 + margin)
