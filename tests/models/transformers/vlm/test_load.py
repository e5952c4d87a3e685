"""Vision-language models from folders, as the hub has them, and the mistakes there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.api import explain
from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.models.choose import open_view
from isotherm.models.transformers.vlm.view import TransformersVlm
from rigs.vlm_models import FAMILIES


@pytest.fixture(scope="module", params=["qwen3_vl", "llava", "idefics3"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    model, processor = FAMILIES[request.param]()
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_a_folder_is_opened_and_explained(folder, dtype):
    opened = open_view(folder, dtype=dtype)
    assert isinstance(opened.view, TransformersVlm)
    assert opened.view.model.dtype == (torch.bfloat16 if dtype else torch.float32)
    assert str(folder) in opened.view.name
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    maps = explain(opened, picture, prompt="how many red ?", answer="2", trust="off")
    assert len(maps) == 1
    assert bool(torch.isfinite(maps[0].values).any())


def test_bad_options(folder):
    with pytest.raises(OptionError, match="dtype is 'int8'; expected float32"):
        open_view(folder, dtype="int8")
    with pytest.raises(OptionError, match="takes no classes; give a prompt"):
        open_view(folder, classes=["cat"])
    with pytest.raises(WeightsError):
        open_view("nobody/no-such-vlm")


def test_an_unknown_family_is_refused(monkeypatch):
    """What it would take for granted is said, and what is known."""
    model, processor = FAMILIES["llava"]()
    monkeypatch.setattr(type(model.config), "model_type", "new_vlm")
    processor.image_processor.do_center_crop = False
    processor.image_processor.crop_size = {"height": 7, "width": 7}
    with pytest.raises(AdapterError, match="a map would have to guess: no layout proves itself"):
        TransformersVlm(model, processor)
