"""The classifier of generated scenes: its network and its files.

It is the model whose evidence is known: trained by this package on pictures of this package, several classes to
a picture, so that an explanation can be right or wrong and not merely pretty.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.headed import HeadedFile
from isotherm.models.shared.preprocess import Preprocess
from isotherm.untrusted.networks import built

FILE = HeadedFile(
    format="isotherm.scene_classifier/1",
    noun="a scene classifier of isotherm",
    advice="check the path, or train one: isotherm train scenes --out {fpath}",
    half=True,
)


@dataclass(frozen=True, kw_only=True)
class SceneNetConfig:
    """A small residual network.

    Args:
        names: class names.
        size: (h, w) of the input it is trained on.
        widths: channels of the stem and of the three stages; strides 2, 4, 8 and 8.
    """

    names: tuple[str, ...]
    size: Size = (128, 128)
    widths: tuple[int, int, int, int] = (16, 32, 64, 96)

    def __post_init__(self) -> None:
        if (
            not self.names
            or len(self.widths) != 4
            or min(self.widths) < 1
            or len(self.size) != 2
            or min(self.size) < 32
        ):
            raise OptionError(
                f"{self}: expected at least one name, four widths of at least 1, and a size (h, w) of at least 32"
            )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut (He et al., CVPR 2016, with a projection where shapes
    differ).
    """

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outer)
        same = inner == outer and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class SceneNet(nn.Module):
    """(b, 3, h, w) -> (b, k) logits, one sigmoid per class: scenes hold several objects.

    The last stage keeps a grid of stride 8 (16 x 16 cells at 128 pixels): evidence stays in its place.
    """

    def __init__(self, config: SceneNetConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c, d = config.widths
        self.stem = nn.Sequential(nn.Conv2d(3, a, 3, 2, 1, bias=False), nn.BatchNorm2d(a), nn.ReLU())
        self.stage1 = nn.Sequential(ResidualBlock(a, b, 2))
        self.stage2 = nn.Sequential(ResidualBlock(b, c, 2), ResidualBlock(c, c, 1))
        self.stage3 = nn.Sequential(ResidualBlock(c, d, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(d, len(config.names))

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return self.head(self.pool(x).flatten(1))


def scene_preprocess(size: Size) -> Preprocess:
    """Letterboxed with antialiasing: aspect and angles are what shapes are made of, so nothing is stretched or cut
    off.
    """
    return Preprocess(size=size, geometry="letterbox", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def save_scene_net(model: SceneNet, fpath: str | os.PathLike[str]) -> Path:
    """Weights in half precision and the network's configuration, as one safetensors file, whole or not at all."""
    return FILE.write(fpath, model.state_dict(), asdict(model.config))


def load_scene_net(fpath: str | os.PathLike[str]) -> SceneNet:
    """What :func:`save_scene_net` wrote, in single precision and eval mode. Never unpickles.

    Raises:
        WeightsError: no such file, or not one of these.
    """
    file = FILE.read(fpath)
    with FILE.reading(fpath):
        lists = {key: tuple(file.header[key]) for key in ("names", "size", "widths")}
        config = SceneNetConfig(**{**file.header, **lists})
        model = built(lambda: SceneNet(config), lambda bare: FILE.check_fit(bare, file.tensors, fpath))
    FILE.fill(model, file.tensors, fpath)
    return model.eval()


def random_scene_net(config: SceneNetConfig, seed: int) -> SceneNet:
    """An untrained network in eval mode; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SceneNet(config).eval()
