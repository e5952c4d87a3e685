"""The head that predicts a coarse map and the convex weights that make it fine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isotherm.heads.head import Head, check_at_least_one
from isotherm.ops.convex_steps import convex_steps
from isotherm.ops.convex_upsample import Padding, check_convex, convex_upsample


@dataclass(frozen=True, kw_only=True)
class ConvexUpsampleConfig:
    """The options of :class:`ConvexUpsample`; ``ConvexUpsample(**asdict(config))`` makes the head again."""

    in_dim: int
    out_dim: int
    ratio: int = 14
    kernel: int = 3
    mask_scale: float = 0.1
    hidden_dim: int | None = None
    batch_norm: bool = False
    padding: Padding = "renorm"

    def __post_init__(self) -> None:
        check_at_least_one(in_dim=self.in_dim, out_dim=self.out_dim)
        if self.hidden_dim is not None:
            check_at_least_one(hidden_dim=self.hidden_dim)
        check_convex(self.ratio, self.kernel, self.padding)


class ConvexUpsample(Head):
    """Features -> a coarse map by three convolutions, upsampled by convex weights from two more.

    Args:
        in_dim: c of the features.
        out_dim: number of maps.
        ratio: map cells per grid cell and axis.
        kernel: odd; the weights reach over kernel x kernel coarse cells, and the 3x3 convolutions stay 3x3.
        mask_scale: factor on the weights' logits.
        hidden_dim: None for the published head. A number puts a 1x1 convolution to that many channels first: with 256
            for 2048, 6.2 M parameters instead of 309 M and a fiftieth of the operations, but no published weights.
        batch_norm: a BatchNorm2d behind each convolution that a ReLU follows, and no bias before it.
        padding: ``"renorm"``, or ``"zeros"`` to compute what published weights were trained with
            (:func:`isotherm.ops.convex_upsample.convex_upsample`).

    The state-dict keys are those of published weights: ``net_out.{0,2,4}`` and ``net_mask.{0,2}`` (without batch_norm
    and hidden_dim, which adds ``reduce``).

    Raises:
        OptionError: an option outside of the above.

    Source: the convolutions of Goyal et al., "RVT-2" (RSS 2024), section III; the upsampling of "RAFT" (ECCV 2020).

    Example:
        >>> head = ConvexUpsample(16, 1, ratio=14)
        >>> tuple(head(torch.zeros(2, 16, 8, 6)).shape)
        (2, 1, 112, 84)
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        ratio: int = 14,
        kernel: int = 3,
        mask_scale: float = 0.1,
        hidden_dim: int | None = None,
        batch_norm: bool = False,
        padding: Padding = "renorm",
    ) -> None:
        super().__init__()
        self.config = ConvexUpsampleConfig(
            in_dim=in_dim,
            out_dim=out_dim,
            ratio=ratio,
            kernel=kernel,
            mask_scale=mask_scale,
            hidden_dim=hidden_dim,
            batch_norm=batch_norm,
            padding=padding,
        )
        self.ratio, self.kernel, self.mask_scale, self.renorm = ratio, kernel, mask_scale, padding == "renorm"
        c = in_dim if hidden_dim is None else hidden_dim
        self.reduce = nn.Identity() if hidden_dim is None else nn.Conv2d(in_dim, c, 1)
        self.net_out = nn.Sequential(
            *_convolution(c, 2 * c, batch_norm),
            *_convolution(2 * c, 2 * c, batch_norm),
            nn.Conv2d(2 * c, out_dim, 3, padding=1),
        )
        self.net_mask = nn.Sequential(*_convolution(c, 2 * c, batch_norm), nn.Conv2d(2 * c, (kernel * ratio) ** 2, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(b, in_dim, h, w) -> (b, out_dim, h ratio, w ratio)."""
        reduced = self.reduce(features)
        values, mask = self.net_out(reduced), self.net_mask(reduced)
        if torch.jit.is_scripting():
            return convex_steps(values, mask, self.ratio, self.kernel, self.mask_scale, self.renorm)
        return convex_upsample(
            values, mask, ratio=self.ratio, kernel=self.kernel, mask_scale=self.mask_scale, padding=self.config.padding
        )


def _convolution(in_dim: int, out_dim: int, batch_norm: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(in_dim, out_dim, 3, padding=1, bias=not batch_norm)
    return [convolution, nn.BatchNorm2d(out_dim), nn.ReLU()] if batch_norm else [convolution, nn.ReLU()]
