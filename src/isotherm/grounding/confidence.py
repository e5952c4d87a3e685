"""From how much of a map lies at its answer to the chance that the answer is right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError

LEAST = 1e-6
"""Shares of a map nearer to 0 or 1 than this are taken to be this."""


@dataclass(frozen=True)
class Logistic:
    """A rising curve from shares to chances: sigmoid(slope * logit(share) + offset).

    Args:
        slope: above 0, so that what is surer stays so.
        offset: above 0 where shares are too small, as those of maps that are trained to be wide always are.
    """

    slope: float
    offset: float

    def __post_init__(self) -> None:
        if not 0 < self.slope < float("inf") or not abs(self.offset) < float("inf"):
            raise OptionError(
                f"slope is {self.slope} and offset {self.offset}; expected finite numbers, the slope above 0"
            )

    def chance(self, share: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """The chance that an answer with this share of its map is right."""
        return torch.sigmoid(self.slope * torch.logit(share, eps=LEAST) + self.offset)


def fit_logistic(share: Float[Tensor, " n"], hit: Bool[Tensor, " n"]) -> Logistic | None:
    """The curve by which shares become chances, on answers held out from training.

    Args:
        share: (n) of each map at its answer, from 0 to 1.
        hit: (n) whether each answer is right.

    Returns:
        The curve of greatest likelihood, with targets a little inside of 0 and 1 so that it exists; None where surer
        answers are not more often right.

    Raises:
        ShapeError: none, or not as many of both.

    Source: Platt, "Probabilistic outputs for support vector machines" (1999), section 2.2; on the logit of a share:
    Kull et al., "Beta calibration" (AISTATS 2017), with one slope for both of its logarithms.

    Example:
        >>> share = torch.linspace(0.05, 0.95, 2000)
        >>> hit = torch.rand(2000, generator=torch.Generator().manual_seed(0)) < share.sqrt()
        >>> chance = fit_logistic(share, hit).chance(torch.tensor([0.25, 0.81]))
        >>> [round(v, 1) for v in chance.tolist()]
        [0.5, 0.9]
    """
    if share.ndim != 1 or share.shape != hit.shape or not len(share):
        raise ShapeError(f"share has shape {tuple(share.shape)} and hit {tuple(hit.shape)}; expected (n) of both")
    x = torch.logit(share.detach().double(), eps=LEAST)
    right = int(hit.sum())
    high, low = (right + 1) / (right + 2), 1 / (len(hit) - right + 2)
    wanted = torch.where(hit, high, low).double()
    design = torch.stack([x, torch.ones_like(x)], -1)
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for _ in range(100):
        chance = torch.sigmoid(design @ weights)
        slope = design.T @ (wanted - chance)
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-9 * torch.eye(2, dtype=torch.float64)
        step = torch.linalg.solve(curvature, slope)
        step = step * min(1.0, 2.0 / float(step.norm().clamp(min=1e-12)))  # far from the top its curvature is flat
        weights = weights + step
        if float(step.abs().max()) < 1e-10:
            break
    a, b = weights.tolist()
    return Logistic(a, b) if a > 0 else None
