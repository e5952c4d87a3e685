"""Whether to believe a map of vision tokens: take the tokens away in its order, and make it anew with random weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.metrics.cascade import cascade
from isotherm.metrics.perturbation import Curves, lost_scores
from isotherm.metrics.references import mix
from isotherm.metrics.trust import Beside, Trust
from isotherm.ops.names import known_word
from isotherm.vlm.fills import Fill, filled
from isotherm.vlm.lay_out import token_centres
from isotherm.vlm.trace import TokenTrace

Level = Literal["fast", "full"]
STEPS, ORDERS = {"fast": 6, "full": 20}, {"fast": 8, "full": 16}


def judge(
    trace: TokenTrace,
    values: Float[Tensor, " n"],
    again: Callable[[], Float[Tensor, " n"]] | None,
    *,
    level: Level = "fast",
    fill: Fill = "mask",
    seed: int = 0,
) -> Trust:
    """Deletion and insertion beside random orders and the distance from the centre, and the map of a model with random weights.

    Vision tokens go, not pixels: the vision tower runs once, and nothing that no training ever saw comes in by a grey edge.

    Args:
        values: the map. again: makes it with whatever weights the model has at that moment; None: not checked. fill: what a token becomes.
    """
    known_word(level, get_args(Level), "level")
    steps, orders = min(STEPS[level], len(values)), ORDERS[level]
    plan = [
        _ranked(values, seed),
        _ranked(-values, seed),
        *(_random(len(values), seed, i) for i in range(orders)),
        _ranked(-centre_distance(trace), seed),
    ]
    curves = deletion_curves(trace, torch.stack(plan), steps=steps, fill=fill)
    area = curves.normalised_auc
    # inserting by an order is deleting by its reverse, read from the end; the second order deletes the least relevant first
    backwards = Curves(1 - curves.fractions.flip(-1), curves.scores.flip(-1), curves.whole, curves.empty).normalised_auc
    random, back = area[2:-1], backwards[2:-1]
    centre_in = deletion_curves(trace, plan[-1].flip(0)[None], steps=steps, fill=fill) if level == "full" else None
    inserted = (
        math.nan
        if centre_in is None
        else float(
            Curves(
                1 - centre_in.fractions.flip(-1), centre_in.scores.flip(-1), centre_in.whole, centre_in.empty
            ).normalised_auc[0]
        )
    )
    lost = [lost_scores(_rows(curves, [i, *range(2, 2 + orders)])) for i in (0, 1)]
    return Trust(
        Beside(float(area[0]), float(random.mean()), float(random.std()), orders, float(area[-1]), lost=lost[0]),
        Beside(
            float(backwards[1]),
            float(back.mean()),
            float(back.std()),
            orders,
            inserted,
            lower_is_better=False,
            lost=lost[1],
        ),
        similarity=math.nan if again is None else _similarity(trace, values, again, level, seed),
        evidence=bool((values > 0).any()),
        level=level,
    )


def deletion_curves(
    trace: TokenTrace, orders: Float[Tensor, "o n"] | Tensor, *, steps: int, fill: Fill = "mean"
) -> Curves:
    """The score as tokens go in each of some orders, in equal parts.

    Args:
        orders: (o, n) numbers of tokens, the first to go first.
    """
    n = orders.shape[1]
    counts = [round(n * i / steps) for i in range(steps + 1)]
    rank = orders.argsort(1)
    gone = torch.stack([rank < c for c in counts[1:-1]], 1).flatten(0, 1)
    ends = torch.tensor([[False] * n, [True] * n])
    scores = filled(trace, torch.cat([ends, gone]), fill).double().cpu()
    whole, empty = scores[0].expand(len(orders)), scores[1].expand(len(orders))
    inner = scores[2:].view(len(orders), steps - 1)
    fractions = torch.tensor([c / n for c in counts], dtype=torch.float64).expand(len(orders), -1)
    return Curves(fractions, torch.cat([whole[:, None], inner, empty[:, None]], 1), whole, empty)


def _rows(curves: Curves, rows: Sequence[int]) -> Curves:
    at = list(rows)
    return Curves(curves.fractions[at], curves.scores[at], curves.whole[at], curves.empty[at])


def centre_distance(trace: TokenTrace) -> Float[Tensor, " n"]:
    """Each token's distance from its picture's centre, relative to the picture's sides; large for those that stand for no place."""
    parts = []
    for picture in trace.question.prompt.pictures:
        h, w = picture.size
        sides = torch.tensor([w, h], dtype=torch.float64)
        parts.append((token_centres(picture) / sides - 0.5).norm(dim=-1).nan_to_num(2.0))
    return torch.cat(parts).float()


def _ranked(values: Float[Tensor, " n"], seed: int) -> Tensor:
    """Tokens from the most to the least relevant, ties by chance."""
    shuffled = _random(len(values), seed, -1)
    return shuffled[values.detach().cpu()[shuffled].argsort(descending=True, stable=True)]


def _random(n: int, seed: int, number: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(mix(seed, number + 2)))


def _similarity(trace: TokenTrace, values: Tensor, again: Callable[[], Tensor], level: Level, seed: int) -> float:
    def explain() -> Float[Tensor, "1 1 n"]:
        return again().detach().cpu().float()[None, None]

    seeds: Sequence[int] = (seed,) if level == "fast" else (seed, seed + 1, seed + 2)
    return float(
        cascade(
            trace.question.view.model,
            explain,
            maps=values.detach().cpu().float()[None, None],
            fractions=(1.0,),
            seeds=seeds,
            calibrate=False,
        ).similarity[0]
    )
