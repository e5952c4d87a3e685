"""Which colour a value gets: the scale, the values that the two ends of a colour map stand for; the colour map as a
tensor; and the ink, a style's colours on that scale.

Stretching every map to its own extremes is what makes an empty map look like a finding, and two pictures
look alike when one is a hundred times weaker. So a scale is an object that can be shared, zero stays zero,
and a map without a positive value gets a scale that draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8, UInt32
from torch import Tensor

from isotherm.draw.colour_maps import DEFAULT, DEFAULT_DIVERGING, DIVERGING, LEVELS, table_of
from isotherm.draw.style import FULL_AT, GREY_AT, STARTS_AT, UNSEEN_GREY, UNSEEN_OPACITY, Style
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


@cache
def colour_table(name: str = DEFAULT) -> Float[Tensor, "levels 3"]:
    """The colours of a colour map from low to high, as a tensor.

    Args, Returns, Raises: as of :func:`isotherm.draw.colour_maps.table_of`, which gives them as an array.
    """
    return torch.from_numpy(table_of(name))


@dataclass(frozen=True)
class Ink:
    """A style for one scale: colour, opacity and greying of every level; level 0 is what the map does not cover.

    A pixel p of luma Y becomes ``(1 - alpha) ((1 - grey) p + grey Y) + alpha colour``.

    Args:
        colour: (1024, 3) RGB in [0, 1].
        alpha: (1024,) opacity of the colour, in [0, 1].
        grey: (1024,) how much of its own colours the picture loses, in [0, 1].
    """

    colour: Float[Tensor, "n 3"]
    alpha: Float[Tensor, " n"]
    grey: Float[Tensor, " n"]

    @classmethod
    def of(cls, style: Style, scale: Scale, *, signed: bool) -> Ink:
        """The ink of a style: of a signed map 0 is in the middle of the colours, wherever it lies in the scale."""
        t = scale.strengths(LEVELS, signed=signed)
        size, against = t.abs(), t < 0
        both = signed and scale.low < 0
        name = style.colormap or (DEFAULT_DIVERGING if both else DEFAULT)
        table = colour_table(name)
        at = ((t + 1) / 2 if both or (signed and name in DIVERGING) else t).clamp(0, 1) * (LEVELS - 1)
        colour = table[at.round().long()]
        grows = ((size - STARTS_AT) / (FULL_AT - STARTS_AT)).clamp(0, 1) if style.by_value else torch.ones_like(size)
        fades = ((size - STARTS_AT) / (GREY_AT - STARTS_AT)).clamp(0, 1) if style.by_value else torch.ones_like(size)
        left_out = (size < style.threshold) | (against if style.negative != "fill" else torch.zeros_like(against))
        alpha = (style.opacity * grows).masked_fill(left_out, 0.0)
        grey = (fades if style.grey else torch.zeros_like(fades)).masked_fill(left_out, 0.0)
        unseen = (UNSEEN_OPACITY, UNSEEN_GREY) if style.unseen and not scale.is_empty else (0.0, 0.0)
        return cls(
            torch.cat([torch.full((1, 3), 0.5), colour]),
            torch.cat([alpha.new_tensor([unseen[0]]), alpha]),
            torch.cat([grey.new_tensor([unseen[1]]), grey]),
        )

    @cached_property
    def clear(self) -> tuple[int, int] | None:
        """The first and the last of the longest run of levels, from 1 on, that leave a picture as it is; None where
        none does.
        """
        none = ((self.alpha == 0) & (self.grey == 0))[1:].tolist()
        runs = [(len(list(run)), is_clear) for is_clear, run in groupby(none)]
        ends = np.cumsum([length for length, _ in runs]).tolist()
        return max(
            ((end - length + 1, end) for (length, is_clear), end in zip(runs, ends, strict=True) if is_clear),
            key=lambda run: run[1] - run[0],
            default=None,
        )

    def layer(self, level: Int[np.ndarray, "*#n"], luma: UInt8[np.ndarray, "*#n"]) -> UInt32[np.ndarray, "*n"]:
        """What lies over 8-bit pixels of these levels and lumas: red, green and blue times opacity, and opacity, as the
        bytes of one number.

        Greying and colouring in one: the opacity is ``1 - (1 - alpha) (1 - grey)``.
        """
        alpha, grey = (t.numpy().astype(np.float32) for t in (self.alpha, self.grey))
        greyed = (1 - alpha) * grey
        own = self.colour.numpy().astype(np.float32) * (255 * alpha)[:, None] + 0.5  # so that cutting rounds
        light = greyed[level] * luma
        pixels = np.empty((*light.shape, 4), np.uint8)
        pixels[..., 3] = (255 * (alpha + greyed) + 0.5)[level]
        for channel in range(3):
            # never above the opacity, or white would turn black where Pillow adds up
            pixels[..., channel] = np.minimum(own[:, channel][level] + light, pixels[..., 3])
        return pixels.view(np.uint32)[..., 0]
