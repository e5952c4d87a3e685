"""The head that computes all fine cells of a coarse one as channels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isotherm.heads.head import Head, check_at_least_one


@dataclass(frozen=True, kw_only=True)
class PixelShuffleHeadConfig:
    """The options of :class:`PixelShuffleHead`; ``PixelShuffleHead(**asdict(config))`` makes the head again."""

    in_dim: int
    out_dim: int
    ratio: int = 4
    hidden_dim: int | None = None

    def __post_init__(self) -> None:
        hidden = 1 if self.hidden_dim is None else self.hidden_dim
        check_at_least_one(in_dim=self.in_dim, out_dim=self.out_dim, ratio=self.ratio, hidden_dim=hidden)


class PixelShuffleHead(Head):
    """A 3x3 convolution with ReLU, then a 1x1 convolution to ratio^2 channels per map, laid out as ratio x ratio cells.

    All fine cells of a coarse one start with the same weights, so that an untrained head has no checkerboard.

    Args:
        in_dim: c of the features.
        out_dim: number of maps.
        ratio: map cells per grid cell and axis.
        hidden_dim: channels of the 3x3 convolution; None: as many as in_dim.

    Raises:
        OptionError: a number below 1.

    Source: Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
    neural network" (CVPR 2016), eq. 4; the start from Aitken et al., "Checkerboard artifact free sub-pixel convolution"
    (2017).

    Example:
        >>> tuple(PixelShuffleHead(16, 4, ratio=4)(torch.zeros(2, 16, 8, 6)).shape)
        (2, 4, 32, 24)
    """

    def __init__(self, in_dim: int, out_dim: int, *, ratio: int = 4, hidden_dim: int | None = None) -> None:
        super().__init__()
        self.config = PixelShuffleHeadConfig(in_dim=in_dim, out_dim=out_dim, ratio=ratio, hidden_dim=hidden_dim)
        self.ratio = ratio
        hidden = in_dim if hidden_dim is None else hidden_dim
        self.convolution = nn.Conv2d(in_dim, hidden, 3, padding=1)
        self.final = nn.Conv2d(hidden, out_dim * ratio**2, 1)
        with torch.no_grad():
            for part in (self.final.weight, self.final.bias):
                assert part is not None
                part.copy_(part[:: ratio**2].repeat_interleave(ratio**2, 0))

    def forward(self, features: Tensor) -> Tensor:
        """(b, in_dim, h, w) -> (b, out_dim, h ratio, w ratio)."""
        return F.pixel_shuffle(self.final(self.convolution(features).relu()), self.ratio)
