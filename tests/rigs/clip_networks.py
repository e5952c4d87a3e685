"""Small networks of one's own that take clips, each in another form; random weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

CLASSES = 4


class SpaceTime(nn.Module):
    """(b, 3, t, h, w), convolutions over time and space; cells of 8 pixels and 2 frames."""

    def __init__(self):
        super().__init__()
        first, second = nn.Conv3d(3, 16, (3, 5, 5), (1, 4, 4), (1, 2, 2)), nn.Conv3d(16, 16, 3, 2, 1)
        self.body, self.head = nn.Sequential(first, nn.ReLU(), second, nn.ReLU()), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3, 4)))


class ByFrame(nn.Module):
    """(b, t, 3, h, w), every frame a picture to a 2-D network; cells of 8 pixels and a frame."""

    def __init__(self):
        super().__init__()
        first, second = nn.Conv2d(3, 16, 5, 4, 2), nn.Conv2d(16, 16, 3, 2, 1)
        self.body, self.head = nn.Sequential(first, nn.ReLU(), second, nn.ReLU()), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.head(features.mean((3, 4)).amax(1))


class Stacked(nn.Module):
    """(b, 3 * t, h, w), the frames as channels of one picture."""

    def __init__(self, frames: int):
        super().__init__()
        first, second = nn.Conv2d(3 * frames, 16, 5, 4, 2), nn.Conv2d(16, 16, 3, 2, 1)
        self.body, self.head = nn.Sequential(first, nn.ReLU(), second, nn.ReLU()), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


class FramesFirst(ByFrame):
    """As :class:`ByFrame`, but the frames of all clips stand beside each other, so no rows belong to one clip."""

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x.transpose(0, 1).flatten(0, 1)).unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)
        return self.head(features.mean((3, 4)).amax(1))


class OfTorchvision(nn.Module):
    """torchvision's r3d_18 inside of a module of one's own, which puts out several things."""

    def __init__(self):
        super().__init__()
        from torchvision.models.video import r3d_18

        self.net = r3d_18(num_classes=CLASSES)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"classes": self.net(x)}


def made(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A network with seeded weights, in evaluation mode."""
    torch.manual_seed(seed)
    return make().eval()
