"""Schedules by hand, groups of parameters, averages of weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from isotherm.errors import OptionError
from isotherm.heads import DeconvHead
from isotherm.models.backbone import ConvBackbone, ConvBackboneConfig
from isotherm.train.average import WeightAverage
from isotherm.train.parameters import parameter_groups
from isotherm.train.schedule import Schedule


def test_cosine_by_hand():
    schedule = Schedule(shape="cosine", warm_up=4, last=0.1)
    assert [schedule(i, 12) for i in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert schedule(4, 12) == 1
    assert schedule(8, 12) == pytest.approx(0.1 + 0.9 * 0.5)
    assert schedule(11, 12) == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi * 7 / 8)))


@pytest.mark.parametrize("shape", ["cosine", "wsd", "constant"])
def test_schedules_stay_between_0_and_1_and_never_rise_after_the_warm_up(shape):
    values = [Schedule(shape=shape, warm_up=10)(i, 100) for i in range(100)]
    assert all(0 < v <= 1 for v in values)
    assert values[:10] == sorted(values[:10])
    assert values[10:] == sorted(values[10:], reverse=True)
    assert Schedule(shape=shape, warm_up=50)(3, 10) == 0.08  # a run shorter than its warm-up


@pytest.mark.usefixtures("unchecked")
def test_schedules_that_cannot_be():
    for options in ({"shape": "linear"}, {"warm_up": -1}, {"last": 2.0}, {"decline": 0.0}):
        with pytest.raises(OptionError):
            Schedule(**options)


def parts():
    torch.manual_seed(0)
    backbone = ConvBackbone(ConvBackboneConfig(widths=(8, 16), depth=1))
    return backbone, DeconvHead(16, 2, widths=(8,), groups=8)


def test_weights_decay_and_norms_and_biases_do_not():
    backbone, head = parts()
    groups = parameter_groups(backbone, head, rate=1e-3, decay=0.1, backbone_rate=0.0, layer_decay=1.0)
    assert {g.decay for g in groups} == {0.0, 0.1}
    for group in groups:
        assert all((p.ndim >= 2) == (group.decay > 0) for p in group.parameters)
    trained = {id(p) for g in groups for p in g.parameters}
    assert trained == {id(p) for p in head.parameters()}  # the backbone is frozen


def test_rates_fall_towards_the_input():
    backbone, head = parts()
    groups = parameter_groups(backbone, head, rate=1e-3, decay=0.0, backbone_rate=0.1, layer_decay=0.5)
    rate = {id(p): g.rate for g in groups for p in g.parameters}
    assert {rate[id(p)] for p in head.parameters()} == {1e-3}
    assert {rate[id(p)] for p in backbone.stages[1].parameters()} == {1e-4}
    assert {rate[id(p)] for p in backbone.stages[0].parameters()} == {5e-5}
    assert sum(len(g.parameters) for g in groups) == len(list(backbone.parameters())) + len(list(head.parameters()))


def test_nothing_to_train():
    backbone, _ = parts()
    with pytest.raises(OptionError, match="nothing to train"):
        parameter_groups(backbone, nn.Identity(), rate=1e-3, decay=0.0, backbone_rate=0.0, layer_decay=1.0)
    with pytest.raises(OptionError, match="layer_decay 0"):
        parameter_groups(*parts(), rate=1e-3, decay=0.0, backbone_rate=0.0, layer_decay=0.0)


def test_average_by_hand_and_saved():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average.update(model)  # decay (1 + 1) / (10 + 1)
    assert average.values["weight"].item() == pytest.approx(9 / 11)
    for _ in range(20):
        average.update(model)
    before = average.values["weight"].item()
    with torch.no_grad():
        model.weight.fill_(2.0)
    average.update(model)
    assert average.values["weight"].item() == pytest.approx((before + 2) / 2)
    other = WeightAverage(model, decay=0.5)
    other.load_state_dict(average.state_dict())
    assert other.step == average.step
    assert other.applied_to(model).weight.item() == average.values["weight"].item()
    assert model.weight.item() == 2
    with pytest.raises(OptionError, match="less than 1"):
        WeightAverage(model, decay=1.0)


def test_frozen_weights_are_not_copied_into_the_average():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    assert set(WeightAverage(model, decay=0.9).values) == {"1.weight", "1.bias"}
