"""A model whose answer is the same for every picture is told so, and why."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.models.mlp_mixer import MlpMixer
from torch import nn

import isotherm
from isotherm.errors import LayerError

PHOTO = np.full((64, 64, 3), 100, np.uint8)


def test_a_head_that_begins_with_zeros_is_named():
    """As timm's MLP-Mixer, gMLP, Hiera and Sequencer are built."""
    model = MlpMixer(num_blocks=2, embed_dim=32, img_size=64, num_classes=3).eval()
    with pytest.raises(LayerError, match=r"does not depend on its input.*layer head are 0.*load trained weights"):
        isotherm.explain(model, PHOTO, trust="off")
    with torch.no_grad():
        model.head.weight.normal_()
    assert len(isotherm.explain(model, PHOTO, trust="off")) == 1


def test_a_constant_answer_is_told_from_a_layer_without_gradient():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.bias = nn.Conv2d(3, 4, 3, 4), nn.Parameter(torch.zeros(2))

        def forward(self, x):
            return self.bias + 0 * self.body(x).mean((2, 3))[:, :2]

    with pytest.raises(LayerError, match="does not depend on its input: no gradient reaches it; load"):
        isotherm.explain(Constant().eval(), PHOTO, size=64, trust="off")
