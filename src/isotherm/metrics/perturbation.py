"""Deletion and insertion: how the score falls as a map's pixels are removed, and rises as they are put back.

Petsiuk, Das & Saenko, "RISE: Randomized input sampling for explanation of black-box models" (BMVC 2018), section 4.1.
A figure alone says nothing: it depends on the model, the fill and the picture. :func:`compare` therefore computes it
beside random maps of the same coarseness and beside the distance from the picture's centre.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.metrics.fills import as_fill
from isotherm.metrics.intervals import Interval, bootstrap_nested
from isotherm.metrics.ranking import cuts, rank_cells
from isotherm.metrics.references import Cells, centre_map, mix, random_maps
from isotherm.metrics.scoring import Score, check_maps, picture_keys, picture_rows, score_stream
from isotherm.ops.names import known_word


@dataclass(frozen=True, eq=False)
class Curves:
    """Scores along the way from the whole picture to the filled one (deletion) or back (insertion).

    Args:
        fractions: (*b, s + 1) part of the picture removed or inserted so far, 0 to 1.
        scores: (*b, s + 1) the score there, in the caller's units.
        whole: (*b,) score of the whole picture.
        empty: (*b,) score of the picture that is filled everywhere.
    """

    fractions: Float[Tensor, "*b s"]
    scores: Float[Tensor, "*b s"]
    whole: Float[Tensor, "*b"]
    empty: Float[Tensor, "*b"]

    @property
    def auc(self) -> Float[Tensor, "*b"]:
        """Area under the curve by the trapezoid rule, in the score's units."""
        width = self.fractions.diff(dim=-1)
        return (width * (self.scores[..., 1:] + self.scores[..., :-1]) / 2).sum(-1)

    @property
    def normalised_auc(self) -> Float[Tensor, "*b"]:
        """The area in units of what there is to lose: 1 where the score stays that of the whole picture, 0 that of the
        filled.

        NaN where the whole picture scores no higher than the filled one: then there is nothing to remove.
        """
        span = self.whole - self.empty
        return torch.where(span > 0, (self.auc - self.empty) / torch.where(span > 0, span, 1.0), torch.nan)


def shares(curve: Curves, random: Curves) -> tuple[tuple[float, float, float], ...]:
    """A map's curve beside the mean of random ones, as points (fraction, map, random) that can be drawn.

    Scores are in units of what there is to lose: 1 is the whole picture, 0 the filled one.

    Args:
        curve: of one map, (s + 1,).
        random: (k, s + 1), read at the map's fractions.

    Returns:
        Points in the order of the curve; none where there is nothing to lose, or a score is NaN or infinite.

    Example:
        >>> whole, empty, at = torch.tensor(8.0), torch.tensor(0.0), torch.tensor([0.0, 0.5, 1.0])
        >>> one = Curves(at, torch.tensor([8.0, 2.0, 0.0]), whole, empty)
        >>> shares(one, Curves(at[None], torch.tensor([[8.0, 4.0, 0.0]]), whole[None], empty[None]))
        ((0.0, 1.0, 1.0), (0.5, 0.25, 0.5), (1.0, 0.0, 0.0))
    """
    at, scores, places, others = (
        t.detach().cpu().double().numpy() for t in (curve.fractions, curve.scores, random.fractions, random.scores)
    )
    mean = np.mean([np.interp(at, place, other) for place, other in zip(places, others, strict=True)], axis=0)
    span = float(curve.whole - curve.empty)
    points = np.stack([at, scores, mean], -1)
    if not span > 0 or not np.isfinite(points).all():
        return ()
    points[:, 1:] = (points[:, 1:] - float(curve.empty)) / span
    return tuple((a, b, c) for a, b, c in points.round(4).tolist())


def lost_scores(*curves: Curves) -> int:
    """How many scores of some curves of one target are NaN or infinite; both ends, which all of them share, count
    once.
    """
    scores = [s for c in curves for s in c.scores.flatten(0, -2).unbind(0)]
    shared = torch.stack([curves[0].whole.flatten()[0], curves[0].empty.flatten()[0]])
    return int((~torch.isfinite(torch.cat([shared, *(s[1:-1] for s in scores)]))).sum())


@dataclass(frozen=True, eq=False)
class Comparison:
    """A map's curve beside those of maps that know nothing.

    Args:
        kind: deletion (a lower area is better) or insertion (a higher one).
        map: (t,) curves.
        random: (t, k) curves.
        centre: (t,) curves, or None where not asked for.
    """

    kind: Literal["deletion", "insertion"]
    map: Curves
    random: Curves
    centre: Curves | None

    @property
    def advantage(self) -> Float[Tensor, " t"]:
        """How much better than random the map is, in normalised area: random - map for deletion (the "drop"), map -
        random for insertion.
        """
        return self._advantages().mean(1)

    def interval(self, *, level: float = 0.95, draws: int = 2000, seed: int = 0) -> Interval:
        """The mean advantage over the targets, with its bootstrap interval over targets and random orders."""
        return bootstrap_nested(self._advantages(), level=level, draws=draws, seed=seed)

    def _advantages(self) -> Float[Tensor, "t k"]:
        difference = self.random.normalised_auc - self.map.normalised_auc[:, None]
        return difference if self.kind == "deletion" else -difference


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Both ways of taking pictures apart."""

    deletion: Comparison
    insertion: Comparison


def deletion(
    maps: Float[Tensor, "t h w"],
    pictures: Float[Tensor, "b c h w"],
    score: Score,
    *,
    fill: Float[Tensor, " c"] | Float[Tensor, "b c h w"],
    steps: int = 16,
    picture: Int[Tensor, " t"] | None = None,
    cells: Size | None = None,
    region: Bool[Tensor, "t h w"] | None = None,
    seed: int = 0,
    batch: int = 32,
) -> Curves:
    """Scores as each map's most relevant pixels are replaced first.

    Args:
        maps: relevance over the model's input, any scale; only the order counts. Ties go in a random order (seeded).
        pictures: model inputs.
        picture: which of them each map is about; None: map i is about picture i.
        score: see :data:`isotherm.metrics.scoring.Score`.
        fill: what replaces a pixel: a value per channel, or pictures (:mod:`isotherm.metrics.fills`).
        steps: equal parts in which the picture goes.
        cells: (h, w) of a grid whose cells go as a whole; None: pixels.
        region: pixels that take part, e.g. without the letterbox; None: all.
        seed: of the order of ties, which is the same for all maps of one picture.
        batch: changed pictures per call of ``score``.

    Source: Petsiuk et al. 2018, algorithm 1 (ours removes equal parts rather than a fixed number of pixels).

    Example:
        >>> picture = torch.tensor([[[[4.0, 1.0], [0.0, 3.0]]]])
        >>> total = lambda x, target: x.sum((1, 2, 3))
        >>> curves = deletion(picture[:, 0], picture, total, fill=torch.zeros(1), steps=4)
        >>> curves.scores.tolist(), curves.normalised_auc.tolist()
        ([[8.0, 4.0, 1.0, 0.0, 0.0]], [0.28125])
    """
    run = _Run(maps, pictures, score, fill, steps, picture, cells, region, batch)
    return run.curves([run.order(t, maps[t], seed) for t in range(len(maps))])


def insertion(
    maps: Float[Tensor, "t h w"],
    pictures: Float[Tensor, "b c h w"],
    score: Score,
    *,
    fill: Float[Tensor, " c"] | Float[Tensor, "b c h w"],
    steps: int = 16,
    picture: Int[Tensor, " t"] | None = None,
    cells: Size | None = None,
    region: Bool[Tensor, "t h w"] | None = None,
    seed: int = 0,
    batch: int = 32,
) -> Curves:
    """Scores as each map's most relevant pixels are put back first into a filled picture; arguments as of
    :func:`deletion`.
    """
    run = _Run(maps, pictures, score, fill, steps, picture, cells, region, batch)
    return run.curves([run.order(t, maps[t], seed, insert=True) for t in range(len(maps))])


def compare(
    maps: Float[Tensor, "t h w"],
    pictures: Float[Tensor, "b c h w"],
    score: Score,
    *,
    fill: Float[Tensor, " c"] | Float[Tensor, "b c h w"],
    grid: Cells,
    orders: int = 5,
    centre: Sequence[Literal["deletion", "insertion"]] = ("deletion", "insertion"),
    steps: int = 16,
    picture: Int[Tensor, " t"] | None = None,
    cells: Size | None = None,
    region: Bool[Tensor, "t h w"] | None = None,
    frames: int = 1,
    seed: int = 0,
    batch: int = 32,
) -> Comparisons:
    """Deletion and insertion of maps, of random maps as coarse as they are, and of the distance from the centre.

    Deleting by a random field and inserting by its negative pass through the same pictures, and the field and its
    negative are equally likely; so one set of random runs serves both comparisons. The fields depend on the seed and on
    the picture alone: all maps of one picture on the same grid meet the same ones, whatever else is compared.

    Args:
        grid: (h, w) of the maps before they were enlarged to the model's input; of clips (moments, h, w).
        orders: random maps per target.
        centre: where to compare with the centre as well.
        frames: of clips, whose frames lie below each other in pictures and maps of (c, frames * h, w) and (frames * h,
            w); random maps then vary along time as the map does, and the centre is each frame's.
        maps, pictures, score, fill, steps, picture, cells, region, seed, batch: as of :func:`deletion`.

    Returns:
        Comparisons. It costs t (2 + orders + len(centre)) (steps - 1) + 2 t forward passes.
    """
    if orders < 2:
        raise OptionError(f"orders is {orders}; at least two random maps are needed to see how much they differ")
    for word in centre:
        known_word(word, ("deletion", "insertion"), "centre")
    run = _Run(maps, pictures, score, fill, steps, picture, cells, region, batch)
    t, size = len(maps), (int(maps.shape[1]), int(maps.shape[2]))
    one = (size[0] // frames, size[1])
    blob = centre_map(one, device=maps.device).repeat(frames, 1)
    volume: Cells = one if len(grid) == 2 else (frames, *one)

    def field(i: int, j: int) -> Tensor:
        made = random_maps(1, volume, grid=grid, seed=mix(seed, run.keys[i], j), device=maps.device)
        return made.reshape(size)

    plan = [run.order(i, maps[i], seed) for i in range(t)]
    plan += [run.order(i, maps[i], seed, insert=True) for i in range(t)]
    plan += [run.order(i, partial(field, i, j), mix(seed, j)) for i in range(t) for j in range(orders)]
    for kind in ("deletion", "insertion"):
        if kind in centre:
            plan += [run.order(i, blob, seed, insert=kind == "insertion") for i in range(t)]
    curves = run.curves(plan)
    by_map, back = _rows(curves, 0, t), _rows(curves, t, 2 * t)
    at = 2 * t + t * orders
    random = _rows(curves, 2 * t, at, (t, orders))
    middle: dict[str, Curves] = {}
    for kind in ("deletion", "insertion"):
        if kind in centre:
            middle[kind] = _rows(curves, at, at + t)
            at += t
    reversed_random = Curves(1 - random.fractions.flip(-1), random.scores.flip(-1), random.whole, random.empty)
    return Comparisons(
        Comparison("deletion", by_map, random, middle.get("deletion")),
        Comparison("insertion", back, reversed_random, middle.get("insertion")),
    )


@dataclass(frozen=True, eq=False)
class _Order:
    """One way through one picture; the map may be made only when it is needed."""

    target: int
    values: Tensor | Callable[[], Tensor]
    seed: int
    insert: bool


class _Run:
    """Everything that the curves of one call share."""

    def __init__(self, maps, pictures, score, fill, steps, picture, cells, region, batch) -> None:
        check_maps(maps)
        self.rows = picture_rows(maps, pictures, picture)
        self.pictures, self.fill = pictures, as_fill(fill, pictures)
        self.score, self.steps, self.cells, self.region, self.batch = score, steps, cells, region, batch
        self.targets = len(maps)
        # what is random belongs to the picture: whoever else is judged, and in which order, changes nothing
        self.keys = picture_keys(pictures, self.rows)

    def order(self, target: int, values: Tensor | Callable[[], Tensor], seed: int, *, insert: bool = False) -> _Order:
        return _Order(target, values, mix(seed, self.keys[target]), insert)

    def _ends(self) -> Iterator[tuple[Tensor, int]]:
        """The whole picture and the filled one, which all orders of a target share."""
        for i, row in enumerate(self.rows):
            yield self.pictures[row], i
            keep = None if self.region is None else ~self.region[i].to(self.pictures.device)
            yield (self.fill[row] if keep is None else torch.where(keep, self.pictures[row], self.fill[row])), i

    def _between(self, orders: Sequence[_Order], fractions: list[list[float]]) -> Iterator[tuple[Tensor, int]]:
        for order in orders:
            row = self.rows[order.target]
            values = order.values() if callable(order.values) else order.values
            region = None if self.region is None else self.region[order.target]
            rank, units = rank_cells(values, cells=self.cells, region=region, seed=order.seed)
            rank, counts = rank.to(self.pictures.device), cuts(units, self.steps)
            fractions.append([count / units for count in counts])
            for count in counts[1:-1]:
                first = rank < count
                if order.insert:
                    # outside of the region nothing is ever filled
                    first = first | (rank >= units)
                yield torch.where(first, *self._pair(row, order.insert)), order.target

    def _pair(self, row: int, insert: bool) -> tuple[Tensor, Tensor]:
        picture, fill = self.pictures[row], self.fill[row]
        return (picture, fill) if insert else (fill, picture)

    def curves(self, orders: Sequence[_Order]) -> Curves:
        ends = score_stream(self.score, self._ends(), batch=self.batch).reshape(-1, 2)
        fractions: list[list[float]] = []
        inner = score_stream(self.score, self._between(orders, fractions), batch=self.batch)
        inner = inner.reshape(len(orders), self.steps - 1)
        target = torch.tensor([o.target for o in orders], dtype=torch.long)
        insert = torch.tensor([o.insert for o in orders], dtype=torch.bool)
        whole, empty = ends[target, 0], ends[target, 1]
        first, last = torch.where(insert, empty, whole), torch.where(insert, whole, empty)
        scores = torch.cat([first[:, None], inner, last[:, None]], dim=1)
        return Curves(torch.tensor(fractions, dtype=torch.float64).reshape(scores.shape), scores, whole, empty)


def _rows(curves: Curves, start: int, stop: int, shape: tuple[int, ...] | None = None) -> Curves:
    shape = shape or (stop - start,)
    part = (t[start:stop] for t in (curves.fractions, curves.scores, curves.whole, curves.empty))
    return Curves(*(t.reshape(*shape, *t.shape[1:]) for t in part))
