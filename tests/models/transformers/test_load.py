"""Opening models by folder and name: local folders work offline, everything else says what is wrong."""

from __future__ import annotations

import json

import pytest
import torch
import transformers as hf

from isotherm.errors import AdapterError, WeightsError
from isotherm.models.transformers.view import load
from rigs.transformers_models import make, picture
from rigs.transformers_views import TEXTS, processor


@pytest.fixture
def saved(tmp_path, request):
    """A tiny model in a folder, as its users save it."""
    family = request.param
    model = make(family)
    model.save_pretrained(tmp_path)
    own = processor(family) or hf.ViTImageProcessor(size={"height": 64, "width": 64})
    own.save_pretrained(tmp_path)
    return family, model, own, tmp_path


@pytest.mark.parametrize(
    "saved", ["vit", "segformer", "detr", "rt_detr", "owlv2", "grounding_dino", "clip_pair"], indirect=True
)
def test_a_saved_folder_is_the_same_model(saved):
    family, model, _, folder = saved
    view = load(str(folder), classes=TEXTS.get(family))
    assert type(view.model) is type(model)
    assert not view.model.training
    assert str(folder) in view.name
    assert "default" not in view.name
    assert (folder / "model.safetensors").is_file()
    own = model.state_dict()
    assert all(torch.equal(v, own[k]) for k, v in view.model.state_dict().items())
    inputs = view.prepare([picture()])
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
    assert bool(found.logits.isfinite().all())


@pytest.mark.parametrize("saved", ["vit"], indirect=True)
def test_options_reach_the_view(saved):
    _, _, _, folder = saved
    view = load(folder, names=list("abcde"), size=(64, 96))
    assert tuple(view.names) == tuple("abcde")
    assert tuple(view.prepare([picture()]).tensor.shape[2:]) == (64, 96)


@pytest.mark.parametrize("saved", ["vit", "detr"], indirect=True)
def test_random_weights_are_seeded_and_leave_the_random_state_alone(saved):
    _, model, _, folder = saved
    state = torch.random.get_rng_state()
    first, second, other = (load(folder, weights="none", seed=s).model.state_dict() for s in (3, 3, 4))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(v, second[k]) for k, v in first.items())
    changed = [k for k, v in first.items() if not torch.equal(v, other[k])]
    assert changed
    assert not torch.equal(first[changed[0]], model.state_dict()[changed[0]])
    assert "random weights" in load(folder, weights="none").name


@pytest.mark.parametrize("saved", ["vit"], indirect=True)
def test_weights_from_another_place(saved, tmp_path):
    _, _, _, folder = saved
    other = make("vit", seed=5)
    other.save_pretrained(tmp_path / "other")
    for weights in (tmp_path / "other", tmp_path / "other" / "model.safetensors"):
        loaded = load(folder, weights=weights).model.state_dict()
        assert all(torch.equal(v, loaded[k]) for k, v in other.state_dict().items())
    make("deit").save_pretrained(tmp_path / "deit")
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors"):
        load(folder, weights=tmp_path / "nowhere.safetensors")
    with pytest.raises(WeightsError, match="holds no weights for"):
        load(folder, weights=tmp_path / "deit" / "model.safetensors")


@pytest.mark.parametrize("saved", ["vit"], indirect=True)
def test_half_precision_files_are_read_in_float32(saved, tmp_path):
    family, _, own, _ = saved
    make(family).to(torch.bfloat16).save_pretrained(tmp_path / "half")
    own.save_pretrained(tmp_path / "half")
    assert {p.dtype for p in load(tmp_path / "half").model.parameters()} == {torch.float32}


def test_without_a_processor_the_default_is_named(tmp_path):
    make("vit").save_pretrained(tmp_path)
    view = load(tmp_path)
    assert "default ViTImageProcessor" in view.name
    assert tuple(view.prepare([picture()]).tensor.shape[2:]) == (64, 64)


def test_a_checkpoint_without_a_head_is_refused(tmp_path):
    make("vit").vit.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["ViTForImageClassification"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"holds no weights for .*classifier"):
        load(tmp_path)


def test_a_hub_name_without_a_network_says_so():
    with pytest.raises(WeightsError, match=r"cannot be fetched.*folder"):
        load("nobody/there-is-no-such-model")


def test_code_of_a_model_is_never_run(tmp_path):
    mark = tmp_path / "it_ran"
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "model_type": "homemade",
                "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"},
                "architectures": ["Homemade"],
            }
        )
    )
    (tmp_path / "code.py").write_text(f"open({str(mark)!r}, 'w').write('x')\nclass C: pass\nclass M: pass\n")
    with pytest.raises(AdapterError, match="never does that"):
        load(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("saved", ["vit"], indirect=True)
def test_broken_folders_are_named(saved, tmp_path):
    _, _, _, folder = saved
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="cannot be read"):
        load(folder)
    weights.unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="configuration"):
        load(folder)


def test_a_pickled_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "it_ran"), "w"))

    model = make("vit")
    model.config.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["ViTForImageClassification"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save({**model.state_dict(), "x": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="could run code"):
        load(tmp_path)
    assert not (tmp_path / "it_ran").exists()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    assert torch.equal(load(tmp_path).model.classifier.weight, model.classifier.weight)


def test_a_model_of_another_job_is_refused(tmp_path):
    hf.BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=30
    ).save_pretrained(tmp_path)
    with pytest.raises(AdapterError, match="classifier of pictures or clips"):
        load(tmp_path, weights="none")
