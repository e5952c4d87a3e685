"""Scoring many changed pictures in bounded memory, whatever the model.

A metric knows a model only as ``score(pictures, target) -> (n,)``: pictures (n, c, h, w) and, for each, the number of
the target (0 to t - 1) that it is scored for. A class of a classifier and one finding of a detector look the same.
The caller decides whether a score is a logit or a probability. ``Rerun.scores`` of a trace is such a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import KindError, OptionError, ShapeError
from isotherm.ops.hashing import pixels_key

Score = Callable[[Tensor, Tensor], Tensor]
"""(n, c, h, w) model inputs and (n,) target numbers (int64, on the processor) -> (n,) scores."""


def score_stream(
    score: Score, rows: Iterable[tuple[Float[Tensor, "c h w"], int]], *, batch: int
) -> Float[Tensor, " n"]:
    """Scores of (picture, target) pairs that are made one by one; at most ``batch`` of them exist at a time.

    Returns:
        (n,) float64 on the processor, without graph.
    """
    if batch < 1:
        raise OptionError(f"batch is {batch}; it is how many changed pictures are scored at a time, at least 1")
    parts, rows = [], iter(rows)
    with torch.no_grad():
        while group := list(islice(rows, batch)):
            pictures, target = torch.stack([p for p, _ in group]), torch.tensor([t for _, t in group])
            part = score(pictures, target)
            if tuple(part.shape) != (len(group),):
                raise ShapeError(
                    f"the score of {len(group)} pictures has shape {tuple(part.shape)}; expected ({len(group)},), one number each"
                )
            parts.append(part.detach())
    return torch.cat(parts).cpu().double() if parts else torch.zeros(0, dtype=torch.float64)


def check_maps(maps: Float[Tensor, "t h w"]) -> None:
    """Raises KindError for maps with NaN or infinities, which have no order."""
    if not bool(torch.isfinite(maps).all()):
        bad = torch.nonzero(~torch.isfinite(maps).flatten(1).all(1)).flatten().tolist()
        raise KindError(
            f"map(s) {bad} hold NaN or infinite values; relevance must be finite, so look at how they were made"
        )


def picture_rows(
    maps: Float[Tensor, "t h w"], pictures: Float[Tensor, "b c h w"], picture: Int[Tensor, " t"] | None
) -> list[int]:
    """Which row of ``pictures`` each map is about; None: map i is about row i.

    Raises ShapeError where maps, pictures and rows do not go together.
    """
    t, b = len(maps), len(pictures)
    if maps.shape[-2:] != pictures.shape[-2:]:
        raise ShapeError(
            f"maps have {tuple(maps.shape[-2:])} cells but pictures {tuple(pictures.shape[-2:])} pixels; "
            "bring the maps to the model's input first (isotherm.ops.resample.to_frame)"
        )
    if picture is None:
        if t != b:
            raise ShapeError(f"there are {t} maps for {b} pictures; say with picture= which row each map is about")
        return list(range(t))
    rows = [int(r) for r in picture]
    if len(rows) != t or any(not 0 <= r < b for r in rows):
        raise ShapeError(f"picture is {rows}; expected {t} rows, each from 0 to {b - 1}")
    return rows


def picture_keys(pictures: Float[Tensor, "b c h w"], rows: Sequence[int]) -> list[int]:
    """A number for each of some rows that the picture's pixels alone decide, which random draws are seeded with."""
    known = {row: pixels_key(pictures[row]) for row in set(rows)}
    return [known[row] for row in rows]
