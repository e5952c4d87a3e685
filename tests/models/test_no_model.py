"""What is no model, given as one: what it is, what was expected, and what to do, instead of another package's error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from isotherm.api import explain, open_model
from isotherm.cli import main
from isotherm.errors import AdapterError, WeightsError

PICTURE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)


def network(channels):
    layers = [nn.Conv2d(channels, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    return nn.Sequential(*layers).eval()


class TwoInputs(nn.Module):
    def forward(self, picture, mask):
        return picture


def weights_enum():
    from torchvision.models import ResNet18_Weights

    return ResNet18_Weights.DEFAULT


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: network(3).state_dict(), r"^the model is a mapping \(0.weight, 0.bias, 4.weight\): weights without their network; load them"),
        (lambda: {"epoch": 3, "model": network(3).state_dict()}, r"^the model is a mapping \(epoch, model\)"),
        (lambda: nn.Sequential, "^the model is Sequential itself, which makes models; call it, and give what it returns"),
        (lambda: network, r"^network cannot be run on an input of .*; of a function that makes models give what it returns"),
        (lambda: lambda x: network(3), "^the model is <lambda> itself, which makes models; call it, and give what it returns"),
        (weights_enum, r"^the model is ResNet18_Weights\.IMAGENET1K_V1, which are weights; give the network's name"),
        (lambda: 3, "^an object of the class int is not a model that isotherm can read; give a torch.nn.Module"),
        (lambda: torch.zeros(3), "^an object of the class Tensor is not a model"),
    ],
)  # fmt: skip
def test_something_else_in_place_of_a_model(model, message):
    with pytest.raises(AdapterError, match=message):
        open_model(model())


@pytest.mark.parametrize("what", ["state dict", "checkpoint"])
def test_a_pt_file_of_tensors_is_no_model_of_ultralytics(tmp_path, what):
    state = network(3).state_dict()
    fpath = tmp_path / "weights.pt"
    torch.save(state if what == "state dict" else {"model": state, "epoch": 3}, fpath)
    with pytest.raises(
        AdapterError, match=r'holds weights \(4 tensors by name, .* open_model\("resnet50", weights=".*weights\.pt"\)'
    ):
        open_model(str(fpath))


def test_damaged_bytes_are_still_called_damaged(tmp_path):
    (tmp_path / "damaged.pt").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(WeightsError, match="damaged"):
        open_model(str(tmp_path / "damaged.pt"))


def test_a_picture_in_place_of_a_model(tmp_path, capsys):
    Image.fromarray(PICTURE).save(tmp_path / "cat.png")
    assert main(["explain", str(tmp_path / "cat.png"), "--model", str(tmp_path / "cat.png")]) == 2
    assert "cat.png is a picture; give a model's name, or the file of one" in capsys.readouterr().err


def test_a_file_of_weights_that_is_not_there(tmp_path):
    with pytest.raises(AdapterError, match=r"^there is no file .*mine\.safetensors; check the path"):
        open_model(str(tmp_path / "mine.safetensors"))


@pytest.mark.parametrize("package", ["own", "torchvision", "timm"])
def test_a_network_of_one_channel_says_how_it_is_fed_with_grey_pictures(package):
    if package == "own":
        model = network(1)
    elif package == "torchvision":
        from torchvision.models import resnet18

        model = resnet18()
        model.conv1 = nn.Conv2d(1, 64, 7, 2, 3)
    else:
        import timm

        model = timm.create_model("test_resnet", in_chans=1)
    with pytest.raises(
        AdapterError, match=r"takes inputs of 1 channel\(s\) and was fed with 3; give mean= and std="
    ) as caught:
        explain(model, PICTURE, size=64, trust="off")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert len(explain(model, PICTURE, size=64, trust="off", mean=[0.5], std=[0.5])) == 1  # and what it says helps


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (network(4), r"^Sequential takes inputs of 4 channel\(s\) and was fed with 3; .*wrap it in a module"),
        (nn.Sequential(nn.Flatten(), nn.Linear(10, 4)), r"^Sequential cannot be run on an input of \(1, 3, 64, 64\) \(RuntimeError: .*expected a module that maps"),
        (TwoInputs(), r"^TwoInputs cannot be run on an input of \(1, 3, 64, 64\) \(TypeError: .*takes pictures alone"),
    ],
)  # fmt: skip
def test_a_module_that_takes_no_pictures(model, message):
    with pytest.raises(AdapterError, match=message):
        open_model(model, size=64)


def test_another_error_of_a_model_stays_as_it_is():
    class Inner(nn.Module):
        """Wrong further in: its own layers do not fit, whatever it is fed with."""

        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 5, 3), nn.Conv2d(4, 2, 3)

        def forward(self, x):
            return self.second(self.first(x)).mean((2, 3))

    with pytest.raises(AdapterError, match=r"RuntimeError: Given groups=1, .*to have 4 channels, but got 5"):
        open_model(Inner(), size=64)
