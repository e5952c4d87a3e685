"""Trust: whether to believe a map, in one line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from isotherm.metrics.cascade import DEPENDS_BELOW
from isotherm.metrics.gain import Gain

Standing = Literal["better", "no better", "worse", "unknown"]
Verdict = Literal["believable", "doubtful", "do not trust", "cannot be judged", "not checked", "no evidence"]

BELIEVABLE = 0.95
"""Evidence gain from which on a map is believable, see ``bench/trust.py`` for how often that is wrong."""
DOUBTFUL = 0.7
"""Evidence gain below which it is not to be trusted: no map of random weights on photographs reached it."""
SEEN = 0.75
"""Of the whole picture, how far the class's logit must stand above the mean of the others', in deviations over the
classes: what the model itself does not see no map can be the evidence of. Maps of random weights that pass for
believable by chance are mostly of such classes.
"""
UNSURE = (-DOUBTFUL, BELIEVABLE)
"""Evidence gains that may be those of a picture by which no map could be told from others."""
SPREAD = 0.6
"""Where more of what there is to lose than this stays as random halves are covered, the evidence is nearly everywhere,
so that no map could be told from others.
"""

MARGIN = 0.02
"""Smallest difference in normalised area that counts at all: two hundredths of what there is to lose."""

UNTRAINED = "RANDOM WEIGHTS: nothing was learned that a map could show"

LEVEL = 0.95
"""How sure "better" is, and "worse": of random maps at most the rest would be called so, in each figure."""

# one-sided 5 % points of Student's t for 1, 2, ... degrees of freedom; 1.70 is that for 30 and a little safe beyond
_T95 = (
    6.314,
    2.920,
    2.353,
    2.132,
    2.015,
    1.943,
    1.895,
    1.860,
    1.833,
    1.812,
    1.796,
    1.782,
    1.771,
    1.761,
    1.753,
    1.746,
    1.740,
    1.734,
    1.729,
    1.725,
    1.721,
    1.717,
    1.714,
    1.711,
    1.708,
    1.706,
    1.703,
    1.701,
    1.699,
)


@dataclass(frozen=True)
class Beside:
    """A map's figure beside those of random maps and of the distance from the centre.

    Args:
        value: of the map.
        random: mean of the random maps.
        spread: their standard deviation.
        orders: how many.
        centre: of the distance from the centre, NaN where it was not computed.
        lower_is_better: True for deletion, False for insertion.
        lost: how many of the pictures that were scored for it gave NaN or infinity; with any, there is no figure.
        curve: what the figure is the area of, as points (fraction, map, mean of the random ones), see
            :func:`isotherm.metrics.perturbation.shares`; empty where it was not kept.
        level: of the prediction interval by which the map is told from random ones.
    """

    value: float
    random: float
    spread: float
    orders: int
    centre: float = math.nan
    lower_is_better: bool = True
    lost: int = 0
    curve: tuple[tuple[float, float, float], ...] = ()
    level: float = LEVEL

    @classmethod
    def of(
        cls,
        value: float,
        areas: Float[Tensor, " k"],
        centre: float = math.nan,
        *,
        lower_is_better: bool = True,
        lost: int = 0,
        curve: tuple[tuple[float, float, float], ...] = (),
    ) -> Beside:
        """A figure beside the ``areas`` of random maps or orders."""
        return cls(value, float(areas.mean()), float(areas.std()), len(areas), centre, lower_is_better, lost, curve)

    @property
    def standing(self) -> Standing:
        """Better or worse than random, or no better than it.

        "Better" means: another random map would be this good in less than one case of twenty (the one-sided 95 %
        prediction interval of a normal variable from ``orders`` draws), and by at least MARGIN.
        """
        if not all(map(math.isfinite, (self.value, self.random, self.spread))):
            return "unknown"
        gain = self._gain
        t = _T95[self.orders - 2] if self.orders - 2 < len(_T95) else 1.70
        needed = max(MARGIN, t * self.spread * math.sqrt(1 + 1 / self.orders))
        return "better" if gain > needed else "worse" if gain < -needed else "no better"

    @property
    def _gain(self) -> float:
        return self.random - self.value if self.lower_is_better else self.value - self.random

    @property
    def leans_better(self) -> bool:
        """True where the map does better than random by more than one spread, clearly or not."""
        return self._gain > max(MARGIN, self.spread)  # False for NaN

    @property
    def centre_is_better(self) -> bool:
        """True where the distance from the centre does better than the map, by more than the spread and MARGIN."""
        gain = self.value - self.centre if self.lower_is_better else self.centre - self.value
        return gain > max(MARGIN, self.spread)  # False for NaN

    def __str__(self) -> str:
        if self.lost:
            return f"not checked (NaN or infinity is the score of {self.lost} changed picture{'s' if self.lost > 1 else ''})"
        if self.standing == "unknown":
            return "unknown (the filled picture scores as high as the whole one)"
        word = {"better": "better", "no better": "no better", "worse": "WORSE"}[self.standing]
        return f"{_short(self.value)} vs random {_short(self.random)} ± {_short(self.spread)} ({word})"


UNMEASURED = Beside(math.nan, math.nan, math.nan, 0)
"""Of a map whose deletion or insertion nobody measured."""


@dataclass(frozen=True)
class Trust:
    """What is known about one map, and what it comes to.

    Args:
        gain: how much better the class is known from what the map marks than from the rest; None where the target is no
            class among others. Where it is known it decides, and ``deletion``, ``insertion`` and ``similarity`` are
            details.
        deletion, insertion: normalised areas beside random and centre.
        similarity: |Spearman| to the map of the model with randomised weights; NaN where it was not or could not be
            computed.
        evidence: False where no value of the map is positive.
        road: (LeRF - MoRF) / 2 in the score's units, NaN where not computed.
        stages: (fraction randomised, |Spearman|) of a cascade, empty where not computed.
        level: fast or full.
        untrained: the model's weights are random, so that no map of it shows anything that was learned.
    """

    deletion: Beside = UNMEASURED
    insertion: Beside = UNMEASURED
    similarity: float = math.nan
    evidence: bool = True
    road: float = math.nan
    stages: tuple[tuple[float, float], ...] = ()
    level: Literal["fast", "full"] = "fast"
    untrained: bool = False
    gain: Gain | None = None

    @property
    def depends_on_weights(self) -> bool | None:
        """Whether the map changes with the weights (similarity under 0.5); None where that is unknown."""
        return self.similarity < DEPENDS_BELOW if math.isfinite(self.similarity) else None

    @property
    def verdict(self) -> Verdict:
        """What it comes to.

        - *no evidence*: no value of the map is positive, so it claims nothing.

        Where the evidence gain is known:

        - *believable*, *doubtful*, *do not trust*: it is at least :data:`BELIEVABLE`, at least :data:`DOUBTFUL`, or
          less; no map is believable of random weights, or of a class that the model hardly sees (:data:`SEEN`).
        - *cannot be judged*: less than :data:`BELIEVABLE`, and the class is known as well from the covered picture, or
          from nearly any half of it; not where the rest shows it clearly better than what the map marks.
        - *not checked*: covered pictures score NaN or infinity.

        Else:

        - *do not trust*: worse than random in deletion or insertion, or better in neither, or hardly dependent on the
          weights.
        - *cannot be judged*: the filled picture scores as high as the whole one.
        - *not checked*: neither could be computed, because changed pictures score NaN or infinity.
        - *doubtful*: better than random in only one of the two, or by one spread but not clearly, or the distance from
          the centre does better than the map, or the weights were not checked, or they are random.
        - *believable*: better than random in both, and dependent on the weights, which something was learned by.
        """
        if not self.evidence:
            return "no evidence"
        if self.gain is not None:
            return self._by_gain(self.gain)
        standings = (self.deletion.standing, self.insertion.standing)
        if "worse" in standings or self.depends_on_weights is False:
            return "do not trust"
        if self.deletion.lost and self.insertion.lost:
            return "not checked"
        if set(standings) == {"unknown"} and not (self.deletion.lost or self.insertion.lost):
            return "cannot be judged"
        if not ("better" in standings or self._leans):
            return "do not trust"
        if (
            standings != ("better", "better")
            or self.deletion.centre_is_better
            or self.depends_on_weights is None
            or self.untrained
        ):
            return "doubtful"
        return "believable"

    def _by_gain(self, gain: Gain) -> Verdict:
        if not math.isfinite(gain.value):
            return "not checked"
        if gain.value >= BELIEVABLE:
            return "doubtful" if self.untrained or gain.whole < SEEN else "believable"
        if gain.value > UNSURE[0] and (not gain.loses or gain.spread > SPREAD):
            return "cannot be judged"
        return "doubtful" if gain.value >= DOUBTFUL else "do not trust"

    @property
    def _leans(self) -> bool:
        return self.deletion.leans_better or self.insertion.leans_better

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is not *believable*, in words; empty where it is."""
        out = [UNTRAINED] if self.untrained else []
        if not self.evidence:
            return (*out, "no value of the map is positive")
        if self.gain is not None:
            return (*out, *self._why(self.gain))
        standings = (self.deletion.standing, self.insertion.standing)
        lost = [name for name, beside in (("deletion", self.deletion), ("insertion", self.insertion)) if beside.lost]
        if lost:
            out.append(f"{' and '.join(lost)} could not be checked: changed pictures score NaN or infinity")
        if "worse" in standings:
            out.append(_worse(*standings))
        elif len(lost) == 2:
            pass
        elif "better" not in standings:
            unknown, leaning = (
                set(standings) == {"unknown"},
                "not clearly better than random" if self._leans else "no better than random",
            )
            out.append("it is known as well from the covered picture" if unknown and not lost else leaning)
        elif standings != ("better", "better") and not lost:
            out.append(f"better than random in {'deletion' if standings[0] == 'better' else 'insertion'} only")
        if self.depends_on_weights is False:
            out.append("hardly depends on the weights")
        if self.depends_on_weights is None:
            out.append("weights not checked")
        if self.deletion.centre_is_better:
            out.append("the picture's centre does better")
        return tuple(out)

    def _why(self, gain: Gain) -> tuple[str, ...]:
        if not math.isfinite(gain.value):
            return ("covered pictures score NaN or infinity",)
        if gain.value >= BELIEVABLE:
            return () if gain.whole >= SEEN else ("the model itself hardly sees it in the whole picture",)
        if self.verdict == "cannot be judged":
            nothing = not gain.loses
            return (
                "it is known as well from the covered picture"
                if nothing
                else "nearly any half of the picture shows it",
            )
        less = "hardly" if gain.value >= DOUBTFUL else "no" if gain.value > -DOUBTFUL else None
        return (
            f"what the map marks shows it {less} better than the rest of the picture"
            if less
            else "the rest of the picture shows it better than what the map marks",
        )

    def line(self) -> str:
        """One line for people: the figures, what each means, and the verdict with its reasons."""
        if not self.evidence:
            return f"trust: no value of the map is positive, so there is nothing to believe or doubt → no evidence{f' ({UNTRAINED})' if self.untrained else ''}"
        parts = []
        if self.gain is not None:
            parts.append(f"evidence gain {_gained(self.gain.value)}")
        if self.gain is None or self.deletion.orders:
            centre = f", centre {_short(self.deletion.centre)}" if math.isfinite(self.deletion.centre) else ""
            parts += [f"deletion {self.deletion}{centre}", f"insertion {self.insertion}"]
        if math.isfinite(self.road):
            parts.append(f"ROAD {self.road:+.2g}")
        if self.depends_on_weights is None:
            parts += [] if self.gain is not None else ["randomised weights: not checked"]
        else:
            meaning = "map depends on the weights" if self.depends_on_weights else "map hardly depends on the weights"
            parts.append(f"randomised weights: similarity {_short(self.similarity)} ({meaning})")
        why = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"trust: {', '.join(parts)} → {self.verdict}{why}"


def _worse(deletion: Standing, insertion: Standing) -> str:
    """Which of the two tests a map does worse than random in, and what the other one says, where it says anything."""
    if deletion == insertion:
        return "deletion and insertion worse than random"
    failed, other, rest = (
        ("deletion", "insertion", insertion) if deletion == "worse" else ("insertion", "deletion", deletion)
    )
    return f"{failed} worse than random" + ("" if rest == "unknown" else f", {other} {rest}")


def _gained(value: float) -> str:
    """A gain, rounded down where it would read as a limit that it does not reach: 1.0996 is 1.09 and not 1.10."""
    if not math.isfinite(value):
        return "unknown"
    reads = any(value < limit <= round(value, 2) for limit in (DOUBTFUL, BELIEVABLE))
    return f"{math.floor(100 * value) / 100 if reads else value:+.2f} (needs {BELIEVABLE:g})"


def _short(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.3g}"
