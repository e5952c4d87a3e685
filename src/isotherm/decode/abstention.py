"""When to say nothing: the score below which answers are wrong too often, chosen on pictures held out from training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.ops.tensors import check_tensors


@dataclass(frozen=True)
class Abstention:
    """A rule of when to answer.

    Args:
        threshold: of the score: answers of at least this are given; infinite where none may be.
        risk: share of wrong answers among those given, on the data that it was fitted to.
        bound: upper confidence bound of that share.
        answered: share of the data that is answered.
    """

    threshold: float
    risk: float
    bound: float
    answered: float

    def answers(self, score: Float[Tensor, "*b"]) -> Bool[Tensor, "*b"]:
        """Where to answer."""
        return score >= self.threshold


def fit_abstention(
    score: Float[Tensor, " n"], hit: Bool[Tensor, " n"], *, most_risk: float, confidence: float = 0.95
) -> Abstention:
    """The rule that answers as often as it may with at most a share of wrong answers.

    Args:
        score: (n) of answers held out from training, higher where they are surer; of any scale.
        hit: (n) whether each is right.
        most_risk: the largest share of wrong answers among those given, between 0 and 1.
        confidence: that this holds for answers of the same kind, between 0.5 and 1: the bound of each threshold is that
            of Clopper and Pearson. Thresholds are tried from the surest answers on, and the last before the bound first
            fails is taken.

    Returns:
        Abstention; with a threshold of infinity where the data cannot promise the risk at any.

    Raises:
        ShapeError: no tensors, not as many hits as scores, none, scores that are not finite, or hits that are not
            true or false.
        OptionError: a share outside of the above.

    Source: Geifman and El-Yaniv, "Selective classification for deep neural networks" (NIPS 2017), with the thresholds
    in a fixed order in place of their bisection: Bates et al., "Distribution-free, risk-controlling prediction sets"
    (2021).

    Example:
        >>> score = torch.linspace(0, 1, 1000)
        >>> rule = fit_abstention(score, score > 0.5, most_risk=0.1)
        >>> 0.4 < rule.threshold < 0.5, rule.bound <= 0.1
        (True, True)
    """
    for name, value, low in (("most_risk", most_risk, 0.0), ("confidence", confidence, 0.5)):
        if not low < value < 1:
            raise OptionError(f"{name} is {value}; expected a number between {low:g} and 1")
    check_tensors(score=score, hit=hit)
    if hit.dtype != torch.bool:
        raise ShapeError(
            f"hit has dtype {hit.dtype}; expected torch.bool, whether each answer is right: compare first, as in error < 2"
        )
    if not score.is_floating_point():
        raise ShapeError(f"score has dtype {score.dtype}; expected floating point: score.float() makes it so")
    if score.ndim != 1 or score.shape != hit.shape or not len(score) or not bool(torch.isfinite(score).all()):
        raise ShapeError(
            f"score has shape {tuple(score.shape)} and hit {tuple(hit.shape)}; expected (n) finite scores and (n) hits"
        )
    from scipy.stats import beta  # a quarter of a second that few need

    ordered, order = score.detach().double().sort(descending=True)
    wrong = (~hit[order]).double().cumsum(0)
    answers_so_far = torch.arange(1, len(ordered) + 1, dtype=torch.float64)
    # answers of equal score are given together
    last = torch.cat([ordered[1:] != ordered[:-1], torch.ones(1, dtype=torch.bool)])
    ends = last.nonzero().flatten()
    k, m = wrong[ends], answers_so_far[ends]
    bound = torch.from_numpy(beta.ppf(confidence, (k + 1).numpy(), (m - k).numpy()))
    bound = torch.where(k == m, 1.0, bound)
    # the surest few can promise nothing: the order begins where the bound could hold at all
    possible = bound <= most_risk
    if not bool(possible.any()):
        return Abstention(float("inf"), 0.0, 1.0, 0.0)
    start = int(possible.nonzero()[0])
    failing = (~possible[start:]).nonzero().flatten()
    i = len(ends) - 1 if not len(failing) else start + int(failing[0]) - 1
    at = int(ends[i])
    return Abstention(float(score[order[at]]), float(k[i] / m[i]), float(bound[i]), float(m[i] / len(score)))
