"""Weights by name into a network, and what is wrong where they do not go in, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from isotherm import open_model
from isotherm.errors import WeightsError
from isotherm.models.weights.fitting import as_named, load_fitting
from rigs.saved_networks import blocks, state

FILE = Path("last.ckpt")


def test_what_else_a_checkpoint_holds_is_left_out_and_named():
    lines: list[str] = []
    more = {**state("model."), "loss.weight": torch.ones(3)}
    assert as_named(more, state(), FILE, say=lines.append).keys() == state().keys()
    assert lines == ["last.ckpt: 1 weights are not of the network and are left out (loss.weight)"]


def test_a_network_whose_own_names_begin_so_keeps_them():
    net = nn.ModuleDict({"model": blocks()})
    assert as_named(net.state_dict(), net.state_dict(), FILE).keys() == net.state_dict().keys()


def test_a_network_that_is_not_whole_behind_one_front_is_refused_by_its_own_names():
    part = {name: tensor for name, tensor in state("module.").items() if "head" not in name}
    with pytest.raises(WeightsError, match=r"2 weights are missing \(head\.weight, head\.bias\) and 0 are unknown"):
        load_fitting(blocks(), part, "blocks", FILE)


def test_a_wrong_number_of_classes_is_one_sentence(tmp_path):
    with pytest.raises(
        WeightsError,
        match=r"^last\.ckpt is for 5 classes and blocks has 3 \(head is its last layer\); make the network",
    ) as caught:
        load_fitting(blocks(), state(classes=5), "blocks", FILE)
    assert "size mismatch" not in str(caught.value)
    torch.save(state(classes=5), tmp_path / FILE)
    with pytest.raises(WeightsError, match=r"is for 5 classes and rigs\.saved_networks:Blocks has 3"):
        open_model("rigs.saved_networks:Blocks", weights=tmp_path / FILE)


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_weights_of_another_network_are_told_by_a_shape_and_not_by_the_classes(tmp_path, package):
    """resnet50's of 250 classes were once told by 'current model is [250]'."""
    torch.save({"state_dict": get_model("resnet50", weights=None, num_classes=250).state_dict()}, tmp_path / "r50.pt")
    with pytest.raises(
        WeightsError, match=r"does not fit resnet18: \d+ of 122 weights have other shapes, such as layer1\.0"
    ):
        open_model(f"{package}:resnet18", weights=tmp_path / "r50.pt")


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_a_checkpoint_of_data_parallel_training_gives_its_number_of_classes(tmp_path, package):
    own = get_model("resnet18", weights=None, num_classes=7).state_dict()
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in own.items()}}, tmp_path / "r18.pth.tar")
    assert len(open_model(f"{package}:resnet18", weights=tmp_path / "r18.pth.tar").names) == 7
