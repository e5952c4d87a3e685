"""CLIP's kin with texts as classes: logits are the model's own, and the map's cells follow the picture."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from PIL import Image

from isotherm.api import explain
from isotherm.cli.main import main
from isotherm.errors import InputError, OptionError
from isotherm.models.transformers.classify import tokenise
from isotherm.models.transformers.view import wrap
from isotherm.runs.read import read_items
from rigs.transformers_models import TEXT, VISION, picture, spread
from rigs.transformers_views import SQUARE, _bert, _clip, hit

BERT = {**TEXT, "vocab_size": 1100, "max_position_embeddings": 64}
EFFICIENT = dict(image_size=64, width_coefficient=0.1, depth_coefficient=0.1, hidden_dim=32)
CROP = dict(size={"shortest_edge": 64}, crop_size=SQUARE)
TEXTS = ["cat", "a dog"]
FAMILIES = {
    "clip": lambda: (
        hf.CLIPModel(hf.CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=24)),
        hf.CLIPProcessor(hf.CLIPImageProcessor(**CROP), _clip()),
    ),
    "align": lambda: (
        hf.AlignModel(hf.AlignConfig(text_config=BERT, vision_config=EFFICIENT, projection_dim=32)),
        hf.AlignProcessor(hf.EfficientNetImageProcessor(size=SQUARE, do_center_crop=False), _bert()),
    ),
    "chinese_clip": lambda: (
        hf.ChineseCLIPModel(hf.ChineseCLIPConfig(text_config=BERT, vision_config=VISION, projection_dim=24)),
        hf.ChineseCLIPProcessor(hf.ChineseCLIPImageProcessor(size=SQUARE, do_center_crop=False), _bert()),
    ),
    "altclip": lambda: (
        hf.AltCLIPModel(
            hf.AltCLIPConfig(text_config={**TEXT, "project_dim": 24}, vision_config=VISION, projection_dim=24)
        ),
        hf.AltCLIPProcessor(hf.CLIPImageProcessor(**CROP), _clip()),
    ),
    "metaclip_2": lambda: (
        hf.MetaClip2Model(hf.MetaClip2Config(text_config=TEXT, vision_config=VISION, projection_dim=24)),
        hf.CLIPProcessor(hf.CLIPImageProcessor(**CROP), _clip()),
    ),
    "siglip2": lambda: (
        hf.Siglip2Model(
            hf.Siglip2Config(text_config={**TEXT, "projection_size": 32}, vision_config={**VISION, "num_patches": 16})
        ),
        hf.Siglip2Processor(hf.Siglip2ImageProcessor(max_num_patches=24), _clip()),
    ),
}


def made(family: str):
    torch.manual_seed(0)
    model, processor = FAMILIES[family]()
    return spread(model), processor


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_models_own_and_cells_follow_the_picture(family):
    model, processor = made(family)
    view = wrap(model, processor=processor, classes=TEXTS)
    photo = picture(90, 150)
    inputs = view.prepare([photo])
    own = {**tokenise(processor, TEXTS, family), **processor.image_processor(photo, return_tensors="pt")}
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
        # SigLIP 2's rows of patches are filled up with empty ones for the package, and not for us
        torch.testing.assert_close(found.logits, model(**own).logits_per_image, rtol=1e-4, atol=1e-4)
    # a sigmoid for each text trained SigLIP, a softmax over texts the others
    assert found.exclusive is (family != "siglip2")
    one = explain(view, photo, target="a dog", trust="off")[0]
    assert one.label.startswith("a dog")
    assert ("%" in one.label) is found.exclusive
    assert float(one.values.abs().max()) > 0
    (layer,) = view.auto_layers().layers
    for centre in ((80, 90), (130, 60)):
        assert max(hit(view, layer, centre)) <= (1.0 if family == "align" else 0.4)


def test_one_text_is_compared_with_the_picture_alone():
    model, processor = made("clip")
    maps = explain(model, picture(), processor=processor, classes="a red cup", trust="off")
    assert maps[0].label == "a red cup"
    assert "probability" not in maps[0].meta


def test_a_picture_of_any_aspect_ratio_is_put_together_again_from_its_patches():
    model, processor = made("siglip2")
    view = wrap(model, processor=processor, classes=TEXTS)
    inputs = view.prepare([picture(90, 150)])
    own = processor.image_processor(picture(90, 150), return_tensors="pt")
    fed = view.preparer.feed(inputs.tensor)
    assert tuple(inputs.tensor.shape) == (1, 3, 64, 96)
    assert torch.equal(fed["pixel_values"], own["pixel_values"][:, :24])
    assert torch.equal(fed["spatial_shapes"], own["spatial_shapes"])
    assert str(view.premises[0]).startswith("input: at most 24 patches of 16 x 16 pixels")
    with pytest.raises(InputError, match="different numbers of patches"):
        view.prepare([picture(90, 150), picture(150, 90)])
    with pytest.raises(OptionError, match="max_num_patches"):
        wrap(model, processor=processor, classes=TEXTS, size=64)


def test_the_command_line_asks_what_speaks_for_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, processor = made("clip")
    model.save_pretrained("clip")
    processor.save_pretrained("clip")
    Image.fromarray(picture()).save("photo.png")
    words = ["explain", "photo.png", "--model", "clip", "--trust", "off", "--device", "cpu"]
    assert main([*words, "--classes", "a red cup", "--out", "one"]) == 0
    assert main([*words, "--classes", "cat, a dog", "--class", "a dog", "--out", "two"]) == 0
    labels = [one["label"] for out in ("one", "two") for item in read_items(out) for one in item["maps"]]
    assert labels[0] == "a red cup"
    assert labels[1].startswith("a dog")
