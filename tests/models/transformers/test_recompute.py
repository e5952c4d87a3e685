"""Layers that are computed again when a gradient passes: the same values and gradients, less memory, and a model that is left as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from isotherm.models.transformers.recompute import recomputed_layers
from isotherm.vlm.frozen import frozen_norms
from isotherm.vlm.trace import frozen_weights


class Layer(GradientCheckpointingLayer):
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.wide, self.narrow, self.drop = (
            nn.LayerNorm(8),
            nn.Linear(8, 64),
            nn.Linear(64, 8),
            nn.Dropout(0.5),
        )

    def forward(self, x, *, scale=1.0):
        Layer.runs += 1
        return x + scale * self.narrow(self.drop(self.wide(self.norm(x))).tanh())


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(3))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x, scale=0.5)
        return x


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return Tower().eval()


def held(run) -> int:
    """Numbers that a graph keeps."""
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        run()
    return sum(sizes)


def test_gradients_are_the_same_and_the_graph_is_small(tower):
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    with frozen_weights(tower), frozen_norms():
        (expected,) = torch.autograd.grad(tower(x).square().sum(), x)
        plain = held(lambda: tower(x))
    (true,) = torch.autograd.grad(tower(x).square().sum(), x)
    assert float((true - expected).abs().max()) > 1e-3  # so that the second computation must freeze norms as well
    with recomputed_layers(tower):
        small = held(lambda: tower(x))
        out = tower(x)
    # the gradient is asked for when the blocks have ended, with a graph that is kept, twice
    for keep in (True, False):
        Layer.runs = 0
        (found,) = torch.autograd.grad(out.square().sum(), x, retain_graph=keep)
        torch.testing.assert_close(found, expected)
        assert Layer.runs == 3
    assert small < plain / 5
    assert all(p.grad is None and p.requires_grad for p in tower.parameters())


def test_a_model_that_was_training_is_computed_again_as_it_was_asked(tower):
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    with recomputed_layers(tower):
        out = tower(x)
    expected = torch.autograd.grad(out.sum(), x, retain_graph=True)[0]
    tower.train()
    torch.testing.assert_close(torch.autograd.grad(out.sum(), x)[0], expected)
    assert all(m.training for m in tower.modules())


def test_the_layers_have_their_own_forward_again(tower):
    def given(x, **_):
        return x

    tower.layers[1].forward = given
    with pytest.raises(TypeError), recomputed_layers(tower):
        tower("not a tensor")
    assert "forward" not in tower.layers[0].__dict__
    assert tower.layers[1].forward is given
