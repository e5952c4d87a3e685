"""From maps and a model to Trust: the figures that the one line is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.metrics.cascade import Cascade, cascade
from isotherm.metrics.perturbation import Comparison, Curves, compare, lost_scores, shares
from isotherm.metrics.road import road
from isotherm.metrics.scoring import Score
from isotherm.metrics.trust import Beside, Trust

FAST_STEPS, FAST_ORDERS = 6, 5
"""Where 42 forward passes do the most good: a true map of a linear model is found better than random in both deletion
and insertion in 91 to 100 % of cases; with 8 steps and 3 random maps, 44 passes, in 60 to 90 %, because three values
hardly say how far random maps differ."""


def assess(
    maps: Float[Tensor, "t h w"],
    pictures: Float[Tensor, "b c h w"],
    score: Score,
    *,
    fill: Float[Tensor, " c"] | Float[Tensor, "b c h w"],
    grid: Size | tuple[int, int, int],
    level: Literal["fast", "full"] = "fast",
    picture: Int[Tensor, " t"] | None = None,
    region: Bool[Tensor, "t h w"] | None = None,
    model: nn.Module | None = None,
    explain: Callable[[], Float[Tensor, "t h w"]] | None = None,
    keep: Sequence[str] = (),
    frames: int = 1,
    seed: int = 0,
    batch: int = 32,
) -> tuple[Trust, ...]:
    """Judge each map: against random maps and the centre, and against the model with randomised weights.

    Args:
        maps: relevance over the model's input, one per target.
        pictures, score, fill, picture, region, batch: as of :func:`isotherm.metrics.perturbation.deletion`.
        grid: (h, w) of the maps before they were enlarged to the model's input (of several layers: the finest).
        level: ``fast``: 6 steps, 5 random maps per target, one model with all weights random: 42 forward passes per
            target, and two explanations (one of them to fit batch norms, if there are any). ``full``: 20 steps, 10
            random maps, ROAD, a cascade of 4 stages and 3 seeds for the last: 287 forward passes per target, and
            twelve explanations.
        model, explain: the module to randomise and how to make the maps anew with whatever weights it has; without
            them the weights are not checked, and the verdict says so.
        keep: modules that are never randomised.
        frames: of clips, see :func:`isotherm.metrics.perturbation.compare`; they have no ROAD, which fills pixels from
            their neighbours.
        seed: of everything random. Random maps and orders depend on it and on the picture, so a map is judged alike
            alone and among others.

    Returns:
        One Trust per map. Areas are NaN, and the standing unknown, where the filled picture scores no lower than the
        whole one, or where a changed picture scores NaN or infinity.
    """
    if level not in ("fast", "full"):
        raise OptionError(f"level is {level!r}; expected 'fast' or 'full'")
    if (model is None) != (explain is None):
        raise OptionError("give both model= and explain=, to check the weights, or neither")
    full = level == "full"
    units = maps.shape[1] * maps.shape[2]
    both = compare(
        maps,
        pictures,
        score,
        fill=fill,
        grid=grid,
        orders=10 if full else FAST_ORDERS,
        steps=min(20 if full else FAST_STEPS, units),
        centre=("deletion", "insertion") if full else ("deletion",),
        picture=picture,
        region=region,
        frames=frames,
        seed=seed,
        batch=batch,
    )
    nan = torch.full((len(maps),), torch.nan, dtype=torch.float64)
    combined = (
        road(maps, pictures, score, picture=picture, region=region, seed=seed, batch=batch).combined
        if full and frames == 1
        else nan
    )
    check, similarity = None, nan
    if model is not None and explain is not None and len(maps):
        check, similarity = _weights(model, explain, maps, full, keep, seed)
    evidence = (maps.flatten(1) > 0).any(1).tolist()
    return tuple(
        Trust(
            _beside(both.deletion, i),
            _beside(both.insertion, i),
            float(similarity[i]),
            evidence[i],
            float(combined[i]),
            () if check is None else tuple(zip(check.fractions, check.magnitude[:, i].tolist(), strict=True)),
            level,
        )
        for i in range(len(maps))
    )


def _weights(
    model: nn.Module, explain: Callable[[], Tensor], maps: Tensor, full: bool, keep: Sequence[str], seed: int
) -> tuple[Cascade | None, Float[Tensor, " t"]]:
    if not full:
        return None, cascade(model, explain, maps=maps, fractions=(1.0,), seeds=(seed,), keep=keep).similarity
    check = cascade(model, explain, maps=maps, seeds=(seed,), keep=keep)
    more = [cascade(model, explain, maps=maps, fractions=(1.0,), seeds=(seed + s,), keep=keep) for s in (1, 2)]
    return check, torch.stack([check.similarity, *(m.similarity for m in more)]).mean(0)


def _beside(comparison: Comparison, i: int) -> Beside:
    return Beside.of(
        float(comparison.map.normalised_auc[i]),
        comparison.random.normalised_auc[i],
        math.nan if comparison.centre is None else float(comparison.centre.normalised_auc[i]),
        lower_is_better=comparison.kind == "deletion",
        lost=lost_scores(_of(comparison.map, i), _of(comparison.random, i)),
        curve=shares(_row(comparison.map, i), _row(comparison.random, i)),
    )


def _of(curves: Curves, i: int) -> Curves:
    """The curves of one target, with a dimension in front."""
    return Curves(
        curves.fractions[i : i + 1], curves.scores[i : i + 1], curves.whole[i : i + 1], curves.empty[i : i + 1]
    )


def _row(curves: Curves, i: int) -> Curves:
    """The curves of one target, without its dimension."""
    return Curves(curves.fractions[i], curves.scores[i], curves.whole[i], curves.empty[i])
