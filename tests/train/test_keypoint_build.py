"""Models from configurations, saved and opened again with the same answers; files that are not such models."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from isotherm.errors import OptionError, WeightsError
from isotherm.train.keypoint_build import ModelChoice, TrainedKeypoints, make_model, open_keypoints, save_keypoints
from isotherm.train.keypoint_model import Objective

SMALL = ModelChoice(widths=(16, 32), depth=1, head_options={"widths": (16,), "groups": 8})


@pytest.mark.parametrize(
    "choice",
    [
        SMALL,
        ModelChoice(widths=(16,), depth=1, head="convex", head_options={"ratio": 2}),
        ModelChoice(backbone="resnet18", pretrained=False, head="pixel_shuffle", head_options={"ratio": 4}),
        ModelChoice(backbone="vit_tiny_patch16_224", pretrained=False, frozen=True, head="linear"),
    ],
    ids=["conv, deconv", "conv, convex", "timm stage, pixel shuffle", "timm tokens, frozen, linear"],
)
def test_saved_and_opened_again(choice, tmp_path):
    model = make_model(choice, 3, size=(64, 64)).eval()
    trained = TrainedKeypoints(
        model=model,
        choice=choice,
        objective=Objective(sigma=1.5),
        size=(64, 64),
        names=("a", "b", "c"),
        exchangeable=((0, 1),),
        swaps=((1, 2),),
        lines={"ab": (0, 1)},
        margin=0.2,
    )
    again = open_keypoints(save_keypoints(trained, tmp_path / "model.safetensors"))
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again.model(x), model(x))
    assert (again.names, again.exchangeable, again.swaps, again.lines, again.margin) == (
        trained.names,
        ((0, 1),),
        ((1, 2),),
        {"ab": (0, 1)},
        0.2,
    )
    assert again.objective == trained.objective
    if choice.frozen:
        assert (tmp_path / "model.safetensors").stat().st_size < 20_000  # the backbone stays with its name


def test_weights_follow_the_seed_and_nothing_else():
    torch.manual_seed(5)
    one = make_model(SMALL, 2, size=(64, 64)).state_dict()
    torch.rand(3)
    two = make_model(SMALL, 2, size=(64, 64)).state_dict()
    assert all(torch.equal(a, b) for a, b in zip(one.values(), two.values(), strict=True))


def test_choices_that_cannot_be():
    with pytest.raises(OptionError, match="would stay so if frozen"):
        ModelChoice(frozen=True)
    with pytest.raises(OptionError, match=r"head_options are .*'colour'"):
        make_model(ModelChoice(head_options={"colour": 1}), 2, size=(64, 64))


def test_files_that_are_no_such_models(tmp_path):
    fpath = tmp_path / "model.safetensors"
    with pytest.raises(WeightsError, match=r"there is no file .*model\.safetensors, expected a keypoint model"):
        open_keypoints(fpath)
    fpath.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="cannot be read"):
        open_keypoints(fpath)
    save_file({"a": torch.zeros(1)}, fpath)
    with pytest.raises(WeightsError, match="is not a keypoint model of isotherm: its format is None"):
        open_keypoints(fpath)
    model = make_model(SMALL, 2, size=(64, 64))
    trained = TrainedKeypoints(model=model, choice=SMALL, objective=Objective(), size=(64, 64), names=("a", "b"))
    save_keypoints(trained, fpath)
    from safetensors import safe_open
    from safetensors.torch import save

    with safe_open(str(fpath), "pt") as file:
        told, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors.pop("head.final.bias")
    fpath.write_bytes(save(tensors, metadata=told))
    with pytest.raises(WeightsError, match=r"missing \['head.final.bias'\]"):
        open_keypoints(fpath)
