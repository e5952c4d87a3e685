"""What single maps say of themselves: their largest value, how spread they are, and whether they are nearly uniform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MapKind = Literal["logits", "peak"]
UNIFORM = 0.995
"""Entropy, as a share of that of a uniform map, above which a map of logits says nothing. A Gaussian of sigma 2 on 64 x
64 cells has .51.
"""
FLAT = 0.05
"""A peak map that says nothing is flat: its largest value is hardly above its mean."""


@dataclass(frozen=True, eq=False)
class MapFigures:
    """Figures of each of n maps of b pictures.

    Args:
        largest: value in a map.
        entropy: as a share of that of a uniform map, 0 to 1.
        uniform: whether the map says nearly the same of every cell.
    """

    largest: Float[Tensor, "b n"]
    entropy: Float[Tensor, "b n"]
    uniform: Bool[Tensor, "b n"]

    def by_map(self) -> list[dict[str, float]]:
        """Of each of the n maps the means over the pictures, as ``max``, ``entropy`` and ``uniform`` (a share)."""
        means = [part.float().mean(0).tolist() for part in (self.largest, self.entropy, self.uniform)]
        return [dict(zip(("max", "entropy", "uniform"), one, strict=True)) for one in zip(*means, strict=True)]


def together(parts: Sequence[MapFigures]) -> MapFigures:
    """The figures of several batches as those of one."""
    return MapFigures(
        torch.cat([part.largest for part in parts]),
        torch.cat([part.entropy for part in parts]),
        torch.cat([part.uniform for part in parts]),
    )


@torch.no_grad()
def map_figures(maps: Float[Tensor, "b n h w"], kind: MapKind) -> MapFigures:
    """The figures of maps.

    Args:
        maps: (b, n, h, w).
        kind: 'logits' of one softmax per map; 'peak' maps have weights themselves, of which the positive part counts: a
            softmax over a map whose peak is 1 is nearly uniform whatever it shows. A map without a positive value is
            uniform.

    Example:
        >>> map_figures(torch.zeros(1, 1, 4, 4), "peak").by_map()
        [{'max': 0.0, 'entropy': 1.0, 'uniform': 1.0}]
    """
    h, w = maps.shape[-2:]
    flat = maps.detach().float().flatten(-2)
    largest = flat.amax(-1)
    if kind == "logits":
        share = flat.softmax(-1)
    else:
        weights = flat.clamp_min(0)
        total = weights.sum(-1, keepdim=True)
        share = torch.where(total > 0, weights / total.clamp_min(1e-30), 1 / (h * w))
    # a map of one cell is as uniform as it can be
    entropy = (-torch.xlogy(share, share).sum(-1) / math.log(h * w) if h * w > 1 else torch.ones_like(largest)).clamp(
        0, 1
    )
    uniform = entropy > UNIFORM if kind == "logits" else largest - flat.mean(-1) < FLAT
    return MapFigures(largest, entropy, uniform)
