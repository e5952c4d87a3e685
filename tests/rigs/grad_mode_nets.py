"""Networks with grad-mode blocks in their forward pass, and their maps, for the tests of what happens to them."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import cache

import numpy as np
import torch
from torch import nn

from isotherm.cam.attribute import attribute
from isotherm.cam.methods import (
    IntegratedGradients,
    fullgrad,
    gradcam,
    gradcampp,
    hirescam,
    layercam,
    shapleycam,
    xgradcam,
)
from isotherm.cam.scores import Classes
from rigs.tiny_views import TinyClassifier

PICTURES = [np.random.default_rng(i).integers(0, 255, (32, 48, 3), dtype=np.uint8) for i in range(2)]
METHODS = [
    gradcam,
    hirescam,
    gradcampp,
    layercam,
    xgradcam,
    shapleycam,
    fullgrad,
    IntegratedGradients(steps=2, tolerance=1e9),
]


@contextmanager
def switched():
    """Grad mode put off by the function, and not put on again."""
    torch.set_grad_enabled(False)
    yield


@contextmanager
def switched_below():
    torch._C._set_grad_enabled(False)
    yield


BLOCKS = {
    "enable_grad": torch.enable_grad,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "set_grad_enabled(True)": lambda: torch.set_grad_enabled(True),
    "set_grad_enabled(False)": lambda: torch.set_grad_enabled(False),
    "function": switched,
    "function below": switched_below,
}


class Neck(nn.Module):
    """A block that begins and ends within one module's forward."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(6, 6, 3, padding=1)
        self.block = nullcontext

    def forward(self, f):
        with self.block():
            y = self.mix(f)
        return y.tanh() * f + f  # multiplication keeps both for the backward pass


class Net(nn.Module):
    """A body, a neck beside which its output goes on, a mean and a linear layer; blocks wherever a test wants them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6))
        self.neck = Neck()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 4)
        self.blocks = {}

    def block(self, name):
        return self.blocks.get(name, nullcontext)()

    def forward(self, x):
        with self.block("everything"):
            with self.block("body"):
                f = self.body(x).relu()
            with self.block("neck"):
                f = self.neck(f)
            f = self.pool(f.sigmoid()).flatten(1)
            with self.block("fc"):
                return self.fc(f)


def make(block=None, *places):
    torch.manual_seed(0)
    net = Net().eval()
    net.body[1].running_mean.uniform_(-1, 1)
    net.neck.block = BLOCKS[block] if block and "mix" in places else nullcontext
    net.blocks = {place: BLOCKS[block] for place in places if block}
    return net


def maps_of(net, layers, methods=METHODS):
    view = TinyClassifier(net)
    return attribute(view, view.prepare(PICTURES), methods=methods, score=Classes((1, 3)), layers=layers)


def assert_same(found, expected):
    for got, want in zip(found.maps, expected.maps, strict=True):
        assert want.values.abs().max() > 0
        torch.testing.assert_close(got.values, want.values, rtol=1e-6, atol=1e-6 * float(want.values.abs().max()))


@cache
def expected_of(layers):
    return maps_of(make(), list(layers))
