"""The evidence gain: how much better a model knows a class from what a map marks than from all the rest.

It is the symmetric relevance gain of Bluecher, Vielhaben & Strodthoff, "Decoupling pixel flipping and occlusion
strategy for consistent XAI benchmarks" (TMLR 2024, section 4), with two things that are ours. The score is the class's
logit less the mean of the other classes': what all classes lose as pixels go is no evidence for one of them. And the
unit is the deviation of the logits over the classes, by which a gain means the same for a trained network and for one
of random weights: that of the whole picture and that of the one whose half is covered which the map marks most,
together. Few classes tell little of it (of two it is their difference, however small), so it counts as if one class
more were known, see :data:`PRIOR`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.frame import Size
from isotherm.metrics.references import random_maps

FRACTIONS = (0.5, 0.25, 0.75)
"""Parts of the picture that are covered, those that the map marks most, and as much of what it marks least; the first
alone where it leaves no doubt.
"""
CLEAR = (0.3, 1.8)
"""Gains at a half of the picture that leave no doubt: no more than the first, or at least the second."""
PRIOR = 1.5
"""Deviation of the one class more that the unit counts, in nats, as softmax and sigmoid take logits. It changes little
of ten classes and nothing of a thousand; of two, a difference much smaller than this is what networks of random
weights have.
"""
NOTHING = 1e-3
"""A class that loses less than this as the whole picture is covered loses nothing: it is what rounding makes."""
HALVES = 2
"""Random fields by which the picture is covered once on this side and once on the other."""
FIELD = (8, 8)
"""Cells of such a field: coarse, as objects are."""

Covers = Bool[Tensor, "n *p"]
"""Which pixels each of n versions has covered."""
Logits = Callable[[Tensor], Tensor]
"""Covers (n, *p) -> (n, s, k) logits of all classes at each of s places that the score is read at: one of a class,
several of an answer of several words.
"""


@dataclass(frozen=True)
class Gain:
    """What a target's class loses where the picture is covered. All in deviations of the logits over the classes.

    Args:
        whole: the class's logit less the mean of the others' of the whole picture.
        empty: of the one that is covered everywhere; NaN where nobody needed to know.
        kept: as parts of the picture that the map marks least are covered.
        cut: as parts that it marks most are covered.
        fractions: how large these parts are, the smallest first.
        halves: as random halves are covered; empty where nobody needed to know.
    """

    whole: float
    empty: float
    kept: tuple[float, ...]
    cut: tuple[float, ...]
    fractions: tuple[float, ...]
    halves: tuple[float, ...] = ()

    @property
    def value(self) -> float:
        """The mean of kept - cut; NaN where a logit is NaN or infinite.

        Example:
            >>> Gain(2.0, 0.0, (1.5, 2.0), (0.5, 0.0), (0.25, 0.5)).value
            1.5
        """
        return math.fsum(k - c for k, c in zip(self.kept, self.cut, strict=True)) / len(self.kept)

    @property
    def loses(self) -> bool:
        """Whether the class is known better from the whole picture than from the covered one."""
        return self.whole - self.empty > NOTHING

    @property
    def spread(self) -> float:
        """Which share of what there is to lose stays as random halves are covered; NaN where there is nothing, or where
        no halves were.
        """
        if not self.halves or not self.loses:
            return math.nan
        return (math.fsum(self.halves) / len(self.halves) - self.empty) / (self.whole - self.empty)


def evidence_gain(
    rank: Int[Tensor, "*p"],
    units: int,
    logits: Logits,
    which: Sequence[int],
    *,
    empty: Callable[[], Float[Tensor, "1 s k"]],
    halves: Callable[[], Float[Tensor, "n s k"]],
    whole: Float[Tensor, "s k"] | None = None,
    unsure: tuple[float, float] = (-math.inf, math.inf),
    thorough: bool = False,
    batch: int = 8,
) -> Gain:
    """The gain of one map.

    Args:
        rank: of each pixel, 0 for the most relevant; ``units`` or more of those that are never covered.
        units: pixels that may be covered.
        logits: see :data:`Logits`.
        which: at each place the target's class.
        empty: the logits of the picture that is covered everywhere. It and ``halves`` are asked for once at most, and
            only where they are needed; they are the same for all maps of a picture.
        halves: the logits as random halves are covered, each on one side and on the other.
        whole: the logits of the whole picture, where they are known.
        thorough: all fractions are looked at, also where the first leaves no doubt.
        unsure: gains above the first and no larger than the second say too little by themselves: there it is looked at
            what is left of the picture that is covered everywhere, and where there is something to lose, by halves.
        batch: versions at a time.

    Returns:
        The gain. It costs 2 forward passes, 4 more where the first fraction leaves doubt, and one more where the logits
        of the whole are not known; what ``empty`` and ``halves`` cost comes to that, once for all maps of a picture.

    Example:
        >>> values = torch.tensor([4.0, 0.0, 0.0, 0.0])
        >>> def logits(covers):
        ...     left = (values * ~covers).sum(1)
        ...     return torch.stack([left, -left], 1)[:, None]
        >>> everywhere, half = torch.ones(1, 4) > 0, torch.tensor([[True, True, False, False]])
        >>> more = {"empty": lambda: logits(everywhere), "halves": lambda: logits(torch.cat([half, ~half]))}
        >>> gain = evidence_gain(torch.arange(4), 4, logits, [0], **more)
        >>> gain.fractions, gain.value, evidence_gain(torch.arange(4).flip(0), 4, logits, [0], **more).value
        ((0.5,), 2.6483388435275774, -1.9331906986565663)
    """
    nothing, everything = torch.zeros_like(rank, dtype=torch.bool), rank < units
    part = round(FRACTIONS[0] * units)
    first = [rank < part, (rank >= units - part) & everything, *([] if whole is not None else [nothing])]
    seen = logits(torch.stack(first)).detach().cpu()
    seen = seen if whole is None else torch.cat([seen, whole.detach().to(seen)[None]])
    known = seen.isfinite().all(0)
    count = known.sum(1).double()
    squares = (count - 1) * (_deviations(seen[2], known).square() + _deviations(seen[0], known).square())
    unit = ((squares + PRIOR**2) / count).sqrt()

    def own(rows: Float[Tensor, "n s k"]) -> list[float]:
        at = torch.arange(len(which)), torch.as_tensor(which)
        others = known.clone()
        others[at] = False
        rest = torch.where(others, rows.double(), 0.0).sum(2) / others.sum(1)
        return ((rows[:, *at] - rest) / unit).mean(1).tolist()

    def standing(some: Sequence[Bool[Tensor, "*p"]]) -> list[float]:
        """The class's own logit of each version: logits of all classes are many, so few are kept at a time."""
        return [value for part in torch.stack(list(some)).split(batch) for value in own(logits(part).detach().cpu())]

    def apart(fractions: Sequence[float]) -> dict[float, tuple[float, float]]:
        """(kept, cut) at some fractions."""
        parts = [round(fraction * units) for fraction in fractions]
        some = [side for part in parts for side in ((rank >= units - part) & everything, rank < part)]
        values = standing(some)
        return dict(zip(fractions, zip(values[::2], values[1::2], strict=True), strict=True))

    cut, kept, own_whole = own(seen)
    sides, own_empty, something = {FRACTIONS[0]: (kept, cut)}, math.nan, True
    if thorough or not (kept - cut >= CLEAR[1] or kept - cut <= unsure[0]):
        (own_empty,) = own(empty().detach().cpu())
        something = own_whole - own_empty > NOTHING  # to lose; else no closer look at this picture tells more
    if thorough or (something and CLEAR[0] < kept - cut < CLEAR[1]):
        sides |= apart(FRACTIONS[1:])
    at = tuple(sorted(sides))
    gain = Gain(own_whole, own_empty, tuple(sides[f][0] for f in at), tuple(sides[f][1] for f in at), at)
    if not (something and unsure[0] < gain.value <= unsure[1]):
        return gain
    return replace(gain, halves=tuple(own(halves().detach().cpu())))


def random_halves(half: Callable[[int], Bool[Tensor, "*p"]], everything: Bool[Tensor, "*p"]) -> Covers:
    """What random halves cover: each of them, and all the rest.

    Args:
        half: a random half of the pixels, by number.
        everything: that may be covered.
    """
    some = [half(i) for i in range(HALVES)]
    return torch.stack([side & everything for one in some for side in (one, ~one)])


def random_half(size: Size, *, seed: int) -> Bool[Tensor, "h w"]:
    """A random half of a picture, in patches as large as objects are."""
    grid = (min(FIELD[0], size[0]), min(FIELD[1], size[1]))
    (field,) = random_maps(1, size, grid=grid, seed=seed)
    return field > field.median()


def _deviations(logits: Float[Tensor, "s k"], known: Bool[Tensor, "s k"]) -> Float[Tensor, " s"]:
    """Of the known logits at each place."""
    logits = logits.double()
    mean = torch.where(known, logits, 0.0).sum(1, keepdim=True) / known.sum(1, keepdim=True)
    return (torch.where(known, logits - mean, 0.0).square().sum(1) / known.sum(1)).sqrt()
