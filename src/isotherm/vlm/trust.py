"""Maps of vision tokens as cases for the judge: how tokens are taken away, and how a map is made again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from isotherm.metrics.perturbation import Curves, lost_scores, shares
from isotherm.metrics.references import mix
from isotherm.metrics.trust import Beside, Trust
from isotherm.relevance.judge import Level, Pause, go_on, judge
from isotherm.vlm.fills import Fill, filled
from isotherm.vlm.fine_cells import on_tokens
from isotherm.vlm.gain import CoveredPrompt
from isotherm.vlm.lay_out import token_centres
from isotherm.vlm.pixel_cells import scores_without
from isotherm.vlm.tokens import PictureTokens
from isotherm.vlm.trace import TokenTrace

STEPS, ORDERS = {"fast": 6, "full": 20}, {"fast": 8, "full": 16}


def judge_answer(
    trace: TokenTrace,
    values: Float[Tensor, " n"],
    again: Callable[[], Float[Tensor, " n"]] | None,
    *,
    cells: tuple[PictureTokens, ...] | None = None,
    covers: bool = False,
    level: Level = "fast",
    fill: Fill = "mask",
    seed: int = 0,
    pause: Pause = go_on,
    covered: CoveredPrompt | None = None,
) -> Trust:
    """Deletion and insertion beside random orders and the distance from the centre, and the map of a model with random
    weights.

    Args:
        values: the map.
        again: makes it with whatever weights the model has at that moment; None: not checked.
        cells: of pixels, where the map is of those.
        covers: those cells are covered; else the vision tokens that they lie in are hidden.
        fill: what a token becomes.
        pause: called before the model is run.
        covered: the prompt whose pictures are covered, with the same seed: what was read for one map serves the next.
    """
    covered = covered or CoveredPrompt(trace.question, seed=seed, pause=pause)
    (verdict,) = judge([AnswerCase(trace, values, again, covered, fill, pause, cells, covers)], level, seed=seed)
    return verdict


@dataclass(frozen=True, eq=False)
class AnswerCase:
    """One target's map over the vision tokens. Fulfils :class:`isotherm.relevance.judge.Case`.

    Vision tokens go, not pixels: the vision tower runs once, and nothing that no training ever saw comes in by a grey
    edge. Where a method asks nothing of tokens, cells of pixels are covered.

    Args:
        relevance: of each token, or cell.
        remake: makes it again; None: not checked.
        covered: the prompt whose pictures are covered.
        fill: what a token becomes.
        pause: called before the model is run.
        cells: of pixels, where the map is of those.
        covers: those cells are covered; else the vision tokens that they lie in are hidden.
    """

    trace: TokenTrace
    relevance: Float[Tensor, " n"]
    remake: Callable[[], Float[Tensor, " n"]] | None
    covered: CoveredPrompt
    fill: Fill = "mask"
    pause: Pause = go_on
    cells: tuple[PictureTokens, ...] | None = None
    covers: bool = False

    keep: ClassVar[tuple[str, ...]] = ()
    fractions: ClassVar[tuple[float, ...]] = (1.0,)
    calibrate: ClassVar[bool] = False

    @property
    def model(self) -> nn.Module:
        return self.trace.question.view.model

    @property
    def alike(self) -> int:
        return id(self)

    def values(self) -> Float[Tensor, "1 1 n"]:
        return self.relevance.detach().cpu().float()[None, None]

    @property
    def again(self) -> Callable[[], Float[Tensor, "1 1 n"]] | None:
        remake = self.remake
        if remake is None:
            return None

        def made() -> Float[Tensor, "1 1 n"]:
            self.pause()
            return remake().detach().cpu().float()[None, None]

        return made

    def without(self, gone: Bool[Tensor, "b n"]) -> Float[Tensor, " b"]:
        """The score of versions without some of the tokens, or of the cells that are covered."""
        if self.cells is None or not self.covers:
            return filled(self.trace, gone, self.fill)
        return scores_without(self.trace, self.cells, gone)

    def removal(self, level: Level, seed: int) -> Trust:
        places = self.trace.question.prompt.pictures if self.cells is None else self.cells
        gain = self.covered.gain(self.trace, self.relevance, places, thorough=level == "full")
        if gain is not None and level == "fast":
            return Trust(gain=gain, evidence=bool((self.relevance > 0).any()))
        return replace(self._curves(level, seed), gain=gain)

    def _curves(self, level: Level, seed: int) -> Trust:
        """Deletion and insertion beside random orders and the distance from the centre."""
        values, places = self.relevance, self.trace.question.prompt.pictures
        if self.cells is not None:
            places, values = (self.cells, values) if self.covers else (places, on_tokens(values, self.cells, places))
        n = len(values)
        steps, orders = min(STEPS[level], n), ORDERS[level]
        plan = [
            _ranked(values, seed),
            _ranked(-values, seed),
            *(_random(n, seed, i) for i in range(orders)),
            _ranked(-centre_distance(places), seed),
        ]
        self.pause()
        curves = deletion_curves(self.without, torch.stack(plan), steps=steps)
        back_curves = _reversed(curves)
        gone, back = curves.normalised_auc, back_curves.normalised_auc
        inserted = math.nan
        if level == "full":
            self.pause()
            centre = deletion_curves(self.without, plan[-1].flip(0)[None], steps=steps)
            inserted = float(_reversed(centre).normalised_auc[0])
        # the second order deletes the least relevant first
        others = slice(2, 2 + orders)
        kept = [shares(_row(of, row), _row(of, others)) for of, row in ((curves, 0), (back_curves, 1))]
        lost = [lost_scores(_rows(curves, [i, *range(2, 2 + orders)])) for i in (0, 1)]
        return Trust(
            Beside.of(float(gone[0]), gone[2:-1], float(gone[-1]), lost=lost[0], curve=kept[0]),
            Beside.of(float(back[1]), back[2:-1], inserted, lower_is_better=False, lost=lost[1], curve=kept[1]),
            evidence=bool((values > 0).any()),
            level=level,
        )


def _reversed(curves: Curves) -> Curves:
    """Inserting by an order is deleting by its reverse, read from the end."""
    return Curves(1 - curves.fractions.flip(-1), curves.scores.flip(-1), curves.whole, curves.empty)


def deletion_curves(
    without: Callable[[Bool[Tensor, "b n"]], Float[Tensor, " b"]], orders: Int[Tensor, "o n"], *, steps: int
) -> Curves:
    """The score as tokens go in each of some orders, in equal parts.

    Args:
        without: gives the score of versions without some.
        orders: (o, n) numbers of tokens, the first to go first.
    """
    n = orders.shape[1]
    counts = [round(n * i / steps) for i in range(steps + 1)]
    rank = orders.argsort(1)
    inner_counts = torch.tensor(counts[1:-1], dtype=torch.long)  # none where there is a single token
    gone = (rank[:, None] < inner_counts[:, None]).flatten(0, 1)
    ends = torch.tensor([[False] * n, [True] * n])
    scores = without(torch.cat([ends, gone])).double().cpu()
    whole, empty = scores[0].expand(len(orders)), scores[1].expand(len(orders))
    inner = scores[2:].view(len(orders), steps - 1)
    fractions = torch.tensor([c / n for c in counts], dtype=torch.float64).expand(len(orders), -1)
    return Curves(fractions, torch.cat([whole[:, None], inner, empty[:, None]], 1), whole, empty)


def _rows(curves: Curves, rows: Sequence[int]) -> Curves:
    at = list(rows)
    return Curves(curves.fractions[at], curves.scores[at], curves.whole[at], curves.empty[at])


def _row(curves: Curves, row: int | slice) -> Curves:
    return Curves(curves.fractions[row], curves.scores[row], curves.whole[row], curves.empty[row])


def centre_distance(places: Sequence[PictureTokens]) -> Float[Tensor, " n"]:
    """Each token's distance from its picture's centre, relative to the picture's sides; large for those that stand for
    no place.
    """
    parts = []
    for picture in places:
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
