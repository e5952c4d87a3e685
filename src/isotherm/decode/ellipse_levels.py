"""The level at which an ellipse holds the true place as often as it should, fitted on points held out from training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from isotherm.decode.calibration import squared_distance
from isotherm.errors import OptionError, ShapeError
from isotherm.points import Points

KNOTS = 40
"""Distances that a rule holds at most, evenly spread over the shares of points."""


@dataclass(frozen=True)
class EllipseLevels:
    """How far true places lie from points, in units of their covariances: at every level, whatever the errors are.

    Args:
        shares: of the points held out, growing, between 0 and 1.
        distances: the squared Mahalanobis distance within which that share of the true places lies.
    """

    shares: tuple[float, ...]
    distances: tuple[float, ...]

    def __post_init__(self) -> None:
        growing = all(a < b for a, b in zip((0.0, *self.shares), (*self.shares, 1.0), strict=True))
        ordered = all(0 <= a <= b < math.inf for a, b in zip((0.0, *self.distances), self.distances, strict=False))
        if not self.shares or len(self.shares) != len(self.distances) or not growing or not ordered:
            raise OptionError(
                "shares and distances must be as many, at least one, growing, shares between 0 and 1; "
                f"got {len(self.shares)} and {len(self.distances)}"
            )

    def distance(self, level: float) -> float:
        """The squared Mahalanobis distance of the ellipse that holds the true place with a probability.

        Args:
            level: between 0 and 1; beyond the largest share as far as Gaussian errors would lie.

        Raises:
            OptionError: a level outside of (0, 1).
        """
        if not 0 < level < 1:
            raise OptionError(f"level is {level}; expected a share between 0 and 1, such as 0.95")
        shares, distances = (0.0, *self.shares), (0.0, *self.distances)
        if level >= shares[-1]:
            return distances[-1] * math.log(1 - level) / math.log(1 - shares[-1])
        i = next(i for i, share in enumerate(shares) if share > level)
        part = (level - shares[i - 1]) / (shares[i] - shares[i - 1])
        return distances[i - 1] + part * (distances[i] - distances[i - 1])

    def factor(self, level: float) -> float:
        """What covariances must be multiplied by so that their ellipse of a level holds the true place so often.

        Args:
            level: the probability, between 0 and 1: of :func:`isotherm.draw.draw_points`, say.

        Example:
            >>> round(EllipseLevels((0.5,), (4.0,)).factor(0.5), 3)  # of Gaussian errors half lie within 1.386
            2.885
        """
        return self.distance(level) / (-2 * math.log(1 - level))

    def scaled(self, scale: float) -> EllipseLevels:
        """The rule for covariances that are multiplied by a factor."""
        return EllipseLevels(self.shares, tuple(d / scale for d in self.distances))

    def to_json(self) -> dict[str, Any]:
        """Both lists as JSON can hold them."""
        return {"shares": list(self.shares), "distances": list(self.distances)}


def fit_ellipse_levels(points: Points, truth: Points) -> EllipseLevels:
    """The rule by which ellipses of every level hold the true place as often as they say.

    One factor for all covariances makes one level right: errors of networks are no Gaussians, as a few points are
    mistaken for others, and the factor that their tail asks for makes the ellipses of 50 % hold nine places of ten. The
    distances of held-out points are ordered, and the one within which a share of them, and of one more point of the
    same kind, lies, is that share's. It holds in the mean over points, not for each.

    Args:
        points: decoded, with covariance, held out from training.
        truth: Points of the same shape, in the same pixels.

    Raises:
        ShapeError: as of :func:`isotherm.decode.fit_covariance_scale`.

    Source: Angelopoulos and Bates, "A gentle introduction to conformal prediction" (2021), section 2.1, at many levels.

    Example:
        >>> found = Points(torch.zeros(3, 2), covariance=torch.eye(2).expand(3, 2, 2))
        >>> fit_ellipse_levels(found, Points(torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))).distance(0.5)
        4.0
    """
    ordered = squared_distance(points, truth).sort().values
    ordered = ordered[torch.isfinite(ordered)]
    if not len(ordered):
        raise ShapeError("no covariance is finite, so there is nothing to order")
    n = len(ordered)
    ranks = torch.linspace(1, n, min(n, KNOTS)).round().long()
    return EllipseLevels(_plain((ranks / (n + 1)).tolist()), _plain(ordered[ranks - 1].tolist()))


def _plain(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
