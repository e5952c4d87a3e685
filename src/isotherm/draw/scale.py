"""Scale: which values the two ends of a colour map stand for.

Stretching every map to its own extremes is what makes an empty map look like a finding, and two pictures
look alike when one is a hundred times weaker. So a scale is an object that can be shared, zero stays zero,
and a map without a positive value gets a scale that draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import KindError, OptionError
from isotherm.heatmap import Heatmap

LOGIT_RANGE = 8.0
"""Logits have no zero, only differences: drawn are the top 8 nats, down to 1/3000 of the peak's probability."""

ONE = 1e-3
"""A map whose sum is this near to 1 is a distribution over the cells, not one probability per cell."""


@dataclass(frozen=True)
class Scale:
    """The values at the lower and the upper end of a colour map.

    Args:
        low, high: finite, low <= high. Equal ends draw nothing at all. A signed map with negative values has a negative
            ``low``; 0 is where it is, not always in the middle.
        beyond: the map has values below ``low``; they get the colour of ``low``, and the colour bar says so.

    Example:
        >>> Scale(0.0, 4.0).to_unit(torch.tensor([-1.0, 1.0, 8.0])).tolist()
        [0.0, 0.25, 1.0]
    """

    low: float
    high: float
    beyond: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)) or self.low > self.high:
            raise OptionError(
                f"a scale from {self.low} to {self.high} cannot be drawn; expected two finite numbers, low <= high"
            )

    @property
    def is_empty(self) -> bool:
        """True where the ends are equal: nothing is drawn."""
        return self.low == self.high

    def to_unit(self, values: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Values -> [0, 1] from end to end, clipped; NaN stays NaN, and an empty scale gives NaN throughout."""
        if self.is_empty:
            return torch.full_like(values, torch.nan)
        return ((values - self.low) / (self.high - self.low)).clamp(0, 1)

    def value_at(self, share: float, *, signed: bool) -> float:
        """The value at a share of the scale: of ``high`` where 0 is its foot (signed maps, or low = 0), else of the way
        from low.
        """
        return share * self._unit if signed else self.low + share * (self.high - self.low)

    def strengths(self, count: int, *, signed: bool) -> Float[Tensor, " {count}"]:
        """How strong each of ``count`` evenly spaced values from low to high is: from 0 to 1, of signed maps from -1 to
        1.

        For and against are measured in one unit, the end that is farther from 0, so that equal strengths are equal
        values.
        """
        if self.is_empty or not signed:
            return torch.linspace(0, 1, count)
        return torch.linspace(self.low, self.high, count, dtype=torch.float64).div(self._unit).float()

    @property
    def _unit(self) -> float:
        return max(abs(self.low), abs(self.high))


def scale_of(heatmap: Heatmap) -> Scale:
    """The scale of one heatmap (all of its maps, if it holds several); see :func:`shared_scale`."""
    return shared_scale([heatmap])


def shared_scale(heatmaps: Iterable[Heatmap]) -> Scale:
    """One scale for several heatmaps, so that the same colour is the same value in all of them.

    - relevance: from 0 to the largest value; where signed maps have negative ones, from the lowest, but not from
      farther below 0 than the largest is above it: what speaks for something is not made invisible by what speaks
      against it;
    - peak: from 0 to 1 (further where a value exceeds 1);
    - probability: from 0 to 1, or from 0 to the largest value where every map is a distribution (sums to 1);
    - logits: the largest value and the 8 nats below it.

    NaN and infinities are left out. Where no value is positive (logits apart) the scale is empty: there is no
    evidence to show, and the largest of the noise is not made to look like some.

    Raises:
        KindError: the heatmaps are of different kinds, or only some are signed.
        OptionError: there are none.
    """
    heatmaps = list(heatmaps)
    if not heatmaps:
        raise OptionError("a shared scale needs at least one heatmap; none was given")
    kinds = {(h.kind, h.signed) for h in heatmaps}
    if len(kinds) > 1:
        names = ", ".join(sorted(f"{kind}{' (signed)' if signed else ''}" for kind, signed in kinds))
        raise KindError(f"heatmaps of different kinds ({names}) have no common scale; draw each kind on its own")
    kind, signed = kinds.pop()
    finite = [h.values.detach().double()[torch.isfinite(h.values)] for h in heatmaps]
    values = torch.cat([v.cpu() for v in finite])
    high = float(values.max()) if values.numel() else 0.0
    if kind == "logits":
        return Scale(high - LOGIT_RANGE, high) if values.numel() else Scale(0.0, 0.0)
    if high <= 0:
        return Scale(0.0, 0.0)
    if signed:
        lowest = float(values.min())
        return Scale(min(0.0, max(lowest, -high)), high, beyond=lowest < -high)
    if kind == "peak" or (kind == "probability" and not all(_is_distribution(h) for h in heatmaps)):
        return Scale(0.0, max(1.0, high))
    return Scale(0.0, high)


def _is_distribution(heatmap: Heatmap) -> bool:
    sums = heatmap.values.detach().double().nansum(dim=(-2, -1))
    return bool((sums - 1).abs().max() < ONE)
