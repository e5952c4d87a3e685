"""What training builds on: a network from pictures to a grid of features that says where its cells lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module, ABC):
    """Abstract: pictures (b, 3, h, w) from 0 to 1 -> features (b, channels, h / stride, w / stride).

    Cell (i, j) of the grid and the stride x stride block of pixels that starts at (i stride, j stride) are the same
    place; :func:`isotherm.models.backbone.check_backbone` proves it. The pictures are normalised inside, so that a
    wrong mean is not somebody else's mistake.

    Args:
        channels: of the features.
        stride: pixels per cell.
        mean, std: of pixels from 0 to 1, per channel.
    """

    channels: int
    stride: int
    mean: Tensor
    std: Tensor

    def __init__(
        self, channels: int, stride: int, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD
    ) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        """The grid of features of pictures from 0 to 1."""
        h, w = pictures.shape[-2:]
        if h % self.stride or w % self.stride:
            raise ShapeError(f"pictures have {h} x {w} pixels; this backbone needs multiples of {self.stride}")
        return self.features((pictures - self.mean) / self.std)

    @abstractmethod
    def features(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        """The grid of features of normalised pictures."""

    def summary(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """One vector per picture: the class token where there is one, otherwise the mean over the grid."""
        return self(pictures).mean((-2, -1))

    def output_frame(self, frame: Frame) -> Frame:
        """The frame of the features, given that of the pictures."""
        return frame.to_grid(stride=self.stride)

    def blocks(self) -> list[nn.Module]:
        """Parts from the input to the output, for learning rates that fall towards the input; one part unless it
        says.
        """
        return [self]


@dataclass(frozen=True, kw_only=True)
class ConvBackboneConfig:
    """The options of :class:`ConvBackbone`."""

    widths: tuple[int, ...] = (32, 64, 128)
    depth: int = 2
    groups: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not self.widths or self.depth < 1 or self.groups < 1 or any(w < 1 or w % self.groups for w in self.widths):
            raise OptionError(
                f"{self}: expected at least one width, each a multiple of groups, and a depth of at least 1"
            )


class ConvBackbone(Backbone):
    """A small residual network to train from scratch; its cells lie exactly where its strides say.

    Patches of 4 x 4 pixels, then stages of residual blocks with a 2 x 2 convolution of stride 2 between them. Strided 3
    x 3 convolutions would put every cell half a stride too far to the upper left.

    Args:
        config: widths of the stages, the first at stride 4; depth: blocks per stage; groups of the norms.

    Source: the stem and the steps between stages of Liu et al., "A ConvNet for the 2020s" (CVPR 2022), section 2.2; the
    blocks of He et al. (CVPR 2016) with GroupNorm, Wu and He (ECCV 2018), because batches are small.

    Example:
        >>> ConvBackbone(ConvBackboneConfig(widths=(8, 16)))(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 16, 4, 6])
    """

    def __init__(self, config: ConvBackboneConfig | None = None) -> None:
        config = ConvBackboneConfig() if config is None else config
        widths = config.widths
        super().__init__(widths[-1], 4 << (len(widths) - 1))
        self.config = config
        self.stages = nn.ModuleList()
        before, kernel = 3, 4
        for width in widths:
            layers: list[nn.Module] = [
                nn.Conv2d(before, width, kernel, stride=kernel),
                nn.GroupNorm(config.groups, width),
            ]
            layers += [_Residual(width, config.groups) for _ in range(config.depth)]
            self.stages.append(nn.Sequential(*layers))
            before, kernel = width, 2

    def features(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        for stage in self.stages:
            x = stage(x)
        return x

    def blocks(self) -> list[nn.Module]:
        return list(self.stages)


class _Residual(nn.Module):
    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(groups, width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(groups, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.layers(x))


@torch.no_grad()
def check_backbone(backbone: Backbone, *, size: Size, seed: int = 0) -> None:
    """Prove that a bright patch at (i, j) of the picture moves the features at (i, j) most, everywhere.

    A wrong count of class or register tokens shifts the grid by as many cells, row by row, and nothing else says so.

    Args:
        size: (h, w) of the pictures.
        seed: of the patches.

    Raises:
        ShapeError: the features are not the grid that the strides say, or answer elsewhere.
    """
    h, w = size[0] // backbone.stride, size[1] // backbone.stride
    where_it_is = next(backbone.parameters()).device
    was_training = backbone.training
    backbone.eval()
    generator = torch.Generator().manual_seed(seed)
    plain = torch.full((1, 3, *size), 0.5, device=where_it_is)
    before = backbone(plain)
    if tuple(before.shape[1:]) != (backbone.channels, h, w):
        raise ShapeError(
            f"the features have shape {tuple(before.shape[1:])}; expected {(backbone.channels, h, w)} of pictures of {size}"
        )
    wrong = []
    cells = torch.randperm(h * w, generator=generator)[:12].tolist()
    for cell in cells:
        i, j = divmod(cell, w)
        lit, s = plain.clone(), backbone.stride
        lit[..., i * s : (i + 1) * s, j * s : (j + 1) * s] = torch.rand(3, s, s, generator=generator).to(where_it_is)
        moved = (backbone(lit) - before).square().sum(1)[0]
        if int(moved.argmax()) != cell:
            wrong.append((i, j))
    backbone.train(was_training)
    # a network with random weights may answer next door now and then; a wrong grid does so everywhere
    if len(wrong) > len(cells) // 3:
        raise ShapeError(
            f"a bright patch moves the features elsewhere at {len(wrong)} of {len(cells)} places, such as {wrong[0]}: the grid is not laid out as declared "
            "(a wrong number of class or register tokens?)"
        )
