"""Scores beside how often they are right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError

ROUNDING = 1e-5
"""A score that is a sum of probabilities in single precision may be so much more than 1."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Scores beside hits, in bins of equal width.

    Args:
        error: expected calibration error, 0 to 1.
        score: (bins) mean score, hit: (bins) share of hits, both NaN in an empty bin.
        count: (bins).
    """

    error: float
    score: Float[Tensor, " bins"]
    hit: Float[Tensor, " bins"]
    count: Float[Tensor, " bins"]


def reliability(score: Float[Tensor, " m"], hit: Bool[Tensor, " m"], *, bins: int = 15) -> Reliability:
    """How far scores are from being the chance of a hit: the mean gap between score and share of hits, over bins.

    Args:
        score: (m,) from 0 to 1.
        hit: (m,).
        bins: of equal width from 0 to 1.

    Raises:
        OptionError: no bins, or a score outside of 0 to 1.
        ShapeError: no scores, or not as many hits.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3.

    Example:
        >>> reliability(torch.tensor([0.75, 0.75]), torch.tensor([True, False]), bins=4).error
        0.25
    """
    if bins < 1:
        raise OptionError(f"bins is {bins}; expected at least one")
    if score.ndim != 1 or score.shape != hit.shape or not len(score):
        raise ShapeError(
            f"score has shape {tuple(score.shape)} and hit {tuple(hit.shape)}; expected (m,) twice, not empty"
        )
    score, right = score.detach().double(), hit.double()
    if not bool(((score >= -ROUNDING) & (score <= 1 + ROUNDING)).all()):
        raise OptionError(f"scores run from {float(score.min()):g} to {float(score.max()):g}; expected 0 to 1")
    index = (score * bins).long().clamp(0, bins - 1)
    zeros = torch.zeros(bins, dtype=torch.float64, device=score.device)
    count = zeros.index_add(0, index, torch.ones_like(score))
    mean_score, mean_hit = zeros.index_add(0, index, score) / count, zeros.index_add(0, index, right) / count
    error = float(((mean_score - mean_hit).abs() * count).nansum() / count.sum())
    return Reliability(error, mean_score, mean_hit, count)
