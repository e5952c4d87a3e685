"""Low-rank adaptation: nothing changes at first, the backbone's own weights never do, and little is saved."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.errors import OptionError
from isotherm.models.backbone import check_backbone
from isotherm.train.keypoint_build import ModelChoice, TrainedKeypoints, make_model, open_keypoints, save_keypoints
from isotherm.train.keypoint_model import Objective
from isotherm.train.keypoints import train_keypoints
from isotherm.train.peft import Lora
from isotherm.train.run_folder import RunFolder
from rigs.dots import CONFIG, dots

CHOICE = ModelChoice(backbone="vit_tiny_patch16_224", pretrained=False, lora=Lora(rank=4), head="linear")


def test_an_adapted_backbone_begins_as_it_was():
    plain, adapted = (make_model(choice, 2, size=(64, 64)).eval() for choice in (replace(CHOICE, lora=None), CHOICE))
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(plain(x), adapted(x))
    check_backbone(adapted.backbone, size=(64, 64))
    trained = [name for name, p in adapted.backbone.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    assert len(trained) == 2 * 4 * 12  # qkv, proj and both of the MLP, in twelve blocks


def test_training_changes_the_matrices_alone_and_saves_them_alone(tmp_path):
    kind = dots(8)
    model = make_model(replace(CHOICE, lora=Lora(rank=2, layers=("qkv",))), 2, size=(32, 32))
    before = {name: p.clone() for name, p in model.backbone.named_parameters()}
    config = replace(CONFIG, steps=3, average=None, size=(32, 32))
    train_keypoints(
        config, model, cache_keypoints(kind, tmp_path / "cache", side=40), kind, RunFolder(tmp_path / "run", {})
    )
    for name, p in model.backbone.named_parameters():
        assert torch.equal(p, before[name]) == ("lora_" not in name), name
    choice = replace(CHOICE, lora=Lora(rank=2, layers=("qkv",)))
    trained = TrainedKeypoints(model=model, choice=choice, objective=Objective(), size=(32, 32), names=kind.names)
    again = open_keypoints(save_keypoints(trained, tmp_path / "model.safetensors"))
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.model(x), model.eval()(x))
    assert (tmp_path / "model.safetensors").stat().st_size < 120_000  # of 22 MB


def test_what_cannot_be_adapted():
    with pytest.raises(OptionError, match="it has none, so it cannot be adapted"):
        make_model(ModelChoice(lora=Lora()), 2, size=(64, 64))
    with pytest.raises(OptionError, match="ends in q_proj; it has fc1, fc2, proj, qkv"):
        make_model(replace(CHOICE, lora=Lora(layers=("q_proj",))), 2, size=(64, 64))
    with pytest.raises(OptionError, match="lora adapts the backbone"):
        replace(CHOICE, frozen=True)
    with pytest.raises(OptionError, match="rank is 0"):
        Lora(rank=0)
