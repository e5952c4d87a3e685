"""Layers in front of a normalisation, whose maps would be rounding alone: they are seen, and passed over with the reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isotherm import explain, open_model
from isotherm.models.shared.cancelling import cancels

PICTURE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
CELL = "gradient times activation sums to zero in every cell"
CHANNEL = "the gradient of every channel sums to zero over its cells"


class Convolutions(nn.Module):
    """A norm that is no module behind the last stage: over the channels of each cell, or over the cells of each channel."""

    def __init__(self, norm: str):
        super().__init__()
        torch.manual_seed(0)
        self.norm = norm
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.GELU())
        self.stage = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.GELU())
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        y = self.stage(self.stem(x))
        if self.norm == "channels":
            y = F.layer_norm(y.movedim(1, -1), (8,)).movedim(-1, 1)
        elif self.norm == "cells":
            y = F.instance_norm(y)
        return self.head(y.clamp(min=0).mean((2, 3)))


class Transformer(nn.Module):
    """Patches, two blocks that add to them, and a last norm that is no module."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Conv2d(3, 32, 16, 16), nn.Linear(32, 4)
        layers = [nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True) for _ in range(2)]
        self.blocks = nn.Sequential(*layers)

    def forward(self, x):
        tokens = self.blocks(self.embed(x).flatten(2).transpose(1, 2))
        return self.head(F.layer_norm(tokens, (32,)).square().mean(1))


@pytest.mark.parametrize(
    ("make", "last", "why"),
    [
        (lambda: Convolutions("channels"), "stage", CELL),
        (lambda: Convolutions("cells"), "stage", CHANNEL),
        (Transformer, "blocks", CELL),
    ],
    ids=["layer norm", "instance norm", "transformer"],
)
def test_a_layer_in_front_of_a_norm_is_passed_over_with_the_reason(make, last, why):
    view = open_model(make().eval(), size=64)
    choice = view.auto_layers()
    assert choice.layers != (last,)
    assert f"{last} was passed over: {why}" in choice.reason
    found = explain(view, PICTURE, method=["gradcam", "hirescam"], trust="off")
    named = explain(view, PICTURE, method="hirescam" if why == CELL else "gradcam", layers=last, trust="off")
    largest = [float(one.values.abs().max()) for one in (*found, *named)]
    assert largest[-1] < 0.05 * min(largest[:-1])


def test_a_layer_behind_its_norm_is_chosen_as_before():
    choice = open_model(Convolutions("none").eval(), size=64).auto_layers()
    assert choice.layers == ("stage",)
    assert "passed over" not in choice.reason


def test_what_is_zero_by_chance_in_some_cells_is_no_reason():
    torch.manual_seed(0)
    activation, gradient = torch.rand(1, 6, 4, 4), torch.randn(1, 6, 4, 4)
    assert cancels(activation, gradient) == ""
    assert cancels(
        activation, gradient - (gradient * activation).sum(1, keepdim=True) / activation.sum(1, keepdim=True)
    ).startswith(CELL)
    assert cancels(activation, gradient - gradient.mean((2, 3), keepdim=True)).startswith(CHANNEL)
    moments = gradient[:, :, None].expand(-1, -1, 3, -1, -1)
    assert cancels(
        activation[:, :, None].expand_as(moments), moments - moments.mean((2, 3, 4), keepdim=True)
    ).startswith(CHANNEL)
