"""A Gaze-LLE of published shape with a backbone that costs nothing, and the weights file of one."""

from __future__ import annotations

import torch
from torch import nn

from isotherm.models.backbone import Backbone
from isotherm.models.gaze_lle import GazeDecoder, GazeDecoderConfig, GazeLLE


class Patches(Backbone):
    """One linear layer per patch of 14 pixels."""

    def __init__(self, channels: int, *, stride: int = 14) -> None:
        super().__init__(channels, stride)
        self.embed = nn.Conv2d(3, channels, stride, stride=stride)

    def features(self, x):
        return self.embed(x)


def small_gaze_lle(*, inout: bool = True, size=(56, 56), seed: int = 0) -> GazeLLE:
    """4 x 4 cells, maps of 8 x 8."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        grid = size[0] // 14, size[1] // 14
        config = GazeDecoderConfig(channels=16, grid=grid, width=32, layers=1, attention_heads=4, inout=inout)
        decoder = GazeDecoder(config)
        for p in decoder.parameters():
            nn.init.normal_(p, 0, 0.3)
        return GazeLLE(Patches(16), decoder, size=size).eval()


def published_state(*, channels: int = 768, inout: bool = True, seed: int = 1) -> dict[str, torch.Tensor]:
    """A state dict of published names and shapes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GazeDecoder(GazeDecoderConfig(channels=channels, inout=inout)).state_dict()
