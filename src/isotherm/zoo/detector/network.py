"""A detector whose answer is a heatmap: centres of objects per class, and their sizes and offsets at the centres.

It is small enough to train on generated scenes in minutes, so the evidence for each of its findings is known, as it is
for the scene classifier.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.headed import HeadedFile
from isotherm.models.backbone import Backbone, ConvBackbone, ConvBackboneConfig
from isotherm.ops.flatness import stands_out
from isotherm.untrusted.networks import built

FILE = HeadedFile(
    format="isotherm.heatmap_detector/1",
    noun="a heatmap detector of isotherm",
    advice="check the path, or train one: isotherm train detector --out {fpath}",
    half=True,
)
STRIDE = 4
"""Input pixels per cell of the maps."""
PRIOR = 0.1
"""What an untrained detector says of every cell: focal loss starts with few false alarms."""
CONFIDENCE = 0.3
"""Least confidence of a finding unless told, as the paper shows findings."""
LIMIT = 4.0
"""Largest logarithm of size / typical that is answered; weights that were never trained do not overflow."""


@dataclass(frozen=True, kw_only=True)
class HeatmapDetectorConfig:
    """What a detector looks like.

    Args:
        names: class names.
        size: (h, w) of the input that it is trained on.
        widths, depth: of the backbone's stages (:class:`isotherm.models.backbone.ConvBackbone`).
        hidden: channels of the maps' branches.
        typical: side in cells of a typical object; sizes are learnt as logarithms of their ratio to it.
    """

    names: tuple[str, ...]
    size: Size = (128, 128)
    widths: tuple[int, ...] = (32, 64, 96)
    depth: int = 2
    hidden: int = 48
    typical: float = 10.0

    def __post_init__(self) -> None:
        stride = STRIDE << max(0, len(self.widths) - 1)
        if not self.names or not self.widths or len(self.size) != 2 or any(s < stride or s % stride for s in self.size):
            raise OptionError(
                f"{self}: expected at least one name and width, and a size (h, w) of multiples of {stride}, the backbone's stride"
            )
        if self.hidden < 8 or self.hidden % 8 or not self.typical > 0:
            raise OptionError(f"{self}: expected a hidden that is a multiple of 8, and a typical side above 0 cells")


class DetectorMaps(NamedTuple):
    """What the network says of every cell.

    Args:
        logits: (b, k, h, w) that an object of the class has its centre in the cell, before the sigmoid.
        log_size: (b, 2, h, w) logarithms of (w, h) / typical, in cells.
        offset: (b, 2, h, w) (x, y) of the centre from the cell's top-left edge, in cells; place = cell + offset.
    """

    logits: Float[Tensor, "b k h w"]
    log_size: Float[Tensor, "b 2 h w"]
    offset: Float[Tensor, "b 2 h w"]


class Centres(NamedTuple):
    """The strongest local maxima of each picture's maps, strongest first.

    Args:
        score: (b, n) in [0, 1], 0 where there are fewer than n.
        classes, cell: (b, n); cell = row * w + column.
    """

    score: Float[Tensor, "b n"]
    classes: Int[Tensor, "b n"]
    cell: Int[Tensor, "b n"]


class DetectorHead(nn.Module):
    """Features -> maps of stride 4: transposed convolutions, then one branch for classes and one for boxes.

    A 4x4 kernel of stride 2 with padding 1 lies evenly over the two cells that it makes, so nothing shifts.
    """

    def __init__(self, channels: int, classes: int, *, steps: int, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(steps):
            layers += [
                nn.ConvTranspose2d(channels if i == 0 else hidden, hidden, 4, stride=2, padding=1, bias=False),
                nn.GroupNorm(8, hidden),
                nn.ReLU(),
            ]
        if not steps:
            layers = [nn.Conv2d(channels, hidden, 1), nn.ReLU()]
        self.finer = nn.Sequential(*layers)
        self.centres = nn.Sequential(nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, classes, 1))
        self.extents = nn.Sequential(nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, 4, 1))
        _start(self.centres[-1], [math.log(PRIOR / (1 - PRIOR))] * classes)
        _start(self.extents[-1], [0.0, 0.0, 0.5, 0.5])  # of the usual size, in the middle of the cell

    def forward(self, features: Float[Tensor, "b c i j"]) -> DetectorMaps:
        """The maps of these features."""
        fine = self.finer(features)
        extents = self.extents(fine)
        return DetectorMaps(self.centres(fine), extents[:, :2], extents[:, 2:])


def _start(last: nn.Module, bias: list[float]) -> None:
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    nn.init.normal_(last.weight, std=0.01)
    with torch.no_grad():
        last.bias.copy_(torch.tensor(bias))


class HeatmapDetector(nn.Module):
    """Pictures (b, 3, h, w) from 0 to 1 -> :class:`DetectorMaps` of stride 4.

    Cell (i, j) of the maps is the 4 x 4 block of pixels that starts at (4 i, 4 j); its centre lies at (4 j + 2, 4 i +
    2). A finding is a local maximum of a class's map; its box is (cell + offset) -/+ size / 2, and its confidence the
    sigmoid there.

    Sizes are learnt as log(side / typical): an L1 error of it is a share of the side, alike for small and large
    objects, no box is ever negative, and 0, where an untrained network starts, is an object of the usual size.

    Source: Zhou et al., "Objects as points" (2019), sections 3 and 4; the first bias of Lin et al., "Focal loss for
    dense object detection" (ICCV 2017), section 4.1, for a prior of 0.1. Logarithms of sizes as in Girshick et al.,
    "Rich feature hierarchies" (CVPR 2014), appendix C; the paper has plain pixels.

    Example:
        >>> model = HeatmapDetector(HeatmapDetectorConfig(names=("ring", "star"), size=(32, 48), widths=(8, 16), hidden=8))
        >>> maps = model(torch.zeros(1, 3, 32, 48))
        >>> tuple(maps.logits.shape), tuple(maps.offset.shape)
        ((1, 2, 8, 12), (1, 2, 8, 12))
    """

    def __init__(self, config: HeatmapDetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone: Backbone = ConvBackbone(ConvBackboneConfig(widths=config.widths, depth=config.depth))
        self.head = DetectorHead(
            self.backbone.channels, len(config.names), steps=len(config.widths) - 1, hidden=config.hidden
        )

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> DetectorMaps:
        """The maps of pictures from 0 to 1."""
        maps: DetectorMaps = self.head(self.backbone(pictures))
        return maps

    def output_frame(self, frame: Frame) -> Frame:
        """The frame of the maps, given that of the pictures."""
        return frame.to_grid(stride=STRIDE)

    def boxes_at(self, maps: DetectorMaps, row: Int[Tensor, " n"], cell: Int[Tensor, " n"]) -> Float[Tensor, "n 4"]:
        """Boxes that the maps of pictures ``row`` have at cells, differentiable.

        Returns:
            (n, 4) x0, y0, x1, y1 in *input* pixels, edge-origin; they may reach out of the input.
        """
        w = maps.logits.shape[-1]
        i, j = cell.div(w, rounding_mode="floor"), cell % w
        corner = torch.stack([j, i], -1).to(maps.offset)
        centre = corner + maps.offset[row, :, i, j]
        half = self.config.typical / 2 * maps.log_size[row, :, i, j].clamp(-LIMIT, LIMIT).exp()
        return STRIDE * torch.cat([centre - half, centre + half], -1)


def find_centres(logits: Float[Tensor, "b k h w"], *, most: int = 20) -> Centres:
    """Local maxima of the maps within 3 x 3 cells of the same class, the ``most`` strongest of each picture.

    Of equal neighbours the first counts, and a flat map has none. No other suppression takes place.

    Source: Zhou et al., "Objects as points" (2019), section 4, "From points to bounding boxes".

    Example:
        >>> maps = torch.full((1, 2, 4, 4), -9.0)
        >>> maps[0, 1, 2, 3], maps[0, 1, 2, 2] = 2.0, 1.0
        >>> found = find_centres(maps, most=1)
        >>> found.classes.tolist(), found.cell.tolist()
        ([[1]], [[11]])
    """
    if most < 1:
        raise OptionError(f"most is {most}; expected at least 1")
    k, h, w = logits.shape[1:]
    sure = logits.detach().float()
    _, winner = F.max_pool2d(sure, 3, stride=1, padding=1, return_indices=True)
    is_peak = winner == torch.arange(h * w, device=sure.device).view(h, w)
    chance = sure.sigmoid()
    flat = torch.where(is_peak & stands_out(chance), chance, 0.0).flatten(1)
    best, index = flat.topk(min(most, k * h * w), -1)
    return Centres(best, index.div(h * w, rounding_mode="floor"), index % (h * w))


def random_detector(config: HeatmapDetectorConfig, seed: int) -> HeatmapDetector:
    """An untrained network in eval mode; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HeatmapDetector(config).eval()


def save_detector(model: HeatmapDetector, fpath: str | os.PathLike[str]) -> Path:
    """Weights in half precision and the network's configuration, as one safetensors file, whole or not at all."""
    return FILE.write(fpath, model.state_dict(), asdict(model.config))


def load_detector(fpath: str | os.PathLike[str]) -> HeatmapDetector:
    """What :func:`save_detector` wrote, in single precision and eval mode. Never unpickles.

    Raises:
        WeightsError: no such file, or not one of these.
    """
    file = FILE.read(fpath)
    with FILE.reading(fpath):
        lists = {key: tuple(file.header[key]) for key in ("names", "size", "widths")}
        config = HeatmapDetectorConfig(**{**file.header, **lists})
        model = built(lambda: HeatmapDetector(config), lambda bare: FILE.check_fit(bare, file.tensors, fpath))
    FILE.fill(model, file.tensors, fpath)
    return model.eval()
