"""Walking a model: nothing is left out, shared parts and all."""

from __future__ import annotations

import torch
from torch import nn

from isotherm.cam.capture import evaluating
from isotherm.relevance.modules import buffers_of, modules_of, parameters_of


def shared() -> nn.Module:
    norm = nn.BatchNorm2d(3)
    model = nn.Sequential(nn.Conv2d(3, 3, 1), norm, nn.Sequential(norm, nn.Identity()))
    model.nothing = None
    model.register_module("empty", None)
    model.register_parameter("none", None)
    model.loop = model[2]
    return model


def test_the_same_parts_as_torch_finds():
    model = shared()
    assert set(modules_of(model)) == set(model.modules())
    assert len(modules_of(model)) == len(list(model.modules()))
    assert {id(p) for p in parameters_of(model)} == {id(p) for p in model.parameters()}
    assert {id(b) for b in buffers_of(model)} == {id(b) for b in model.buffers()}


def test_a_model_that_evaluates_already_is_left_alone_and_another_gets_its_flags_back():
    class Counting(nn.Module):
        asked = 0

        def train(self, mode: bool = True):
            type(self).asked += 1
            return super().train(mode)

    model = nn.Sequential(Counting(), nn.BatchNorm2d(3))
    model.eval()
    before = Counting.asked
    with evaluating(model):
        pass
    assert Counting.asked == before
    model[1].train()
    with evaluating(model):
        assert not any(m.training for m in model.modules())
    assert Counting.asked == before + 1
    assert [m.training for m in model.modules()] == [False, False, True]
    assert torch.is_grad_enabled()
