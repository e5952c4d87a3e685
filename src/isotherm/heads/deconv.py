"""The head of transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.heads.head import Head, check_at_least_one


@dataclass(frozen=True, kw_only=True)
class DeconvHeadConfig:
    """The options of :class:`DeconvHead`; ``DeconvHead(**asdict(config))`` makes the head again."""

    in_dim: int
    out_dim: int
    widths: tuple[int, ...] = (256, 128)
    groups: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        check_at_least_one(in_dim=self.in_dim, out_dim=self.out_dim, groups=self.groups)
        if not self.widths or any(w < 1 or w % self.groups for w in self.widths):
            raise OptionError(
                f"widths are {self.widths} and groups {self.groups}; expected at least one width, each a multiple of groups"
            )


class DeconvHead(Head):
    """Transposed 4x4 convolutions of stride 2, each with GroupNorm and ReLU, and a 1x1 convolution to the maps.

    A 4x4 kernel of stride 2 with padding 1 lies evenly over the two cells that it makes, so nothing shifts.

    Args:
        in_dim: c of the features.
        out_dim: number of maps.
        widths: channels behind each transposed convolution; ``ratio`` is 2 to the power of their number.
        groups: of each GroupNorm; must divide every width. GroupNorm rather than the paper's BatchNorm, so that a head
            trained with small batches says the same in training and afterwards.

    Raises:
        OptionError: an option outside of the above.

    Source: Xu et al., "ViTPose" (NeurIPS 2022), section 3.1, the classic decoder.

    Example:
        >>> tuple(DeconvHead(16, 4, widths=(32, 32), groups=8)(torch.zeros(2, 16, 8, 6)).shape)
        (2, 4, 32, 24)
    """

    def __init__(self, in_dim: int, out_dim: int, *, widths: Sequence[int] = (256, 128), groups: int = 32) -> None:
        super().__init__()
        self.config = DeconvHeadConfig(in_dim=in_dim, out_dim=out_dim, widths=tuple(widths), groups=groups)
        self.ratio = 2 ** len(self.config.widths)
        layers: list[nn.Module] = []
        before = in_dim
        for width in self.config.widths:
            layers += [
                nn.ConvTranspose2d(before, width, 4, stride=2, padding=1, bias=False),
                nn.GroupNorm(groups, width),
                nn.ReLU(),
            ]
            before = width
        self.deconv = nn.Sequential(*layers)
        self.final = nn.Conv2d(before, out_dim, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(b, in_dim, h, w) -> (b, out_dim, h ratio, w ratio)."""
        return self.final(self.deconv(features))
