"""The head that reads maps off the features with no more than a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from isotherm.heads.head import Head, check_at_least_one


@dataclass(frozen=True, kw_only=True)
class LinearHeadConfig:
    """The options of :class:`LinearHead`; ``LinearHead(**asdict(config))`` makes the head again."""

    in_dim: int
    out_dim: int
    ratio: int = 1

    def __post_init__(self) -> None:
        check_at_least_one(in_dim=self.in_dim, out_dim=self.out_dim, ratio=self.ratio)


class LinearHead(Head):
    """A 1x1 convolution, then bilinear interpolation with half-pixel centres where a finer map is asked for.

    What linear probes of frozen backbones use. Interpolating the maps and interpolating the features give the same, and
    the maps are far fewer.

    Args:
        in_dim: c of the features.
        out_dim: number of maps.
        ratio: map cells per grid cell and axis.

    Raises:
        OptionError: a number below 1.

    Example:
        >>> tuple(LinearHead(16, 4, ratio=2)(torch.zeros(2, 16, 8, 6)).shape)
        (2, 4, 16, 12)
    """

    def __init__(self, in_dim: int, out_dim: int, *, ratio: int = 1) -> None:
        super().__init__()
        self.config = LinearHeadConfig(in_dim=in_dim, out_dim=out_dim, ratio=ratio)
        self.ratio = ratio
        self.final = nn.Conv2d(in_dim, out_dim, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(b, in_dim, h, w) -> (b, out_dim, h ratio, w ratio)."""
        maps = self.final(features)
        if self.ratio == 1:
            return maps
        return F.interpolate(
            maps, size=(maps.shape[-2] * self.ratio, maps.shape[-1] * self.ratio), mode="bilinear", align_corners=False
        )
