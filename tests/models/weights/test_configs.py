"""Configurations in model folders: what is handed on to other packages is plain and harmless, or nothing is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
import transformers as hf

from isotherm.errors import AdapterError, WeightsError
from isotherm.models.timm import view as timm_adapter
from isotherm.models.transformers.load import class_of, open_config, open_model
from isotherm.models.transformers.view import load
from isotherm.models.weights.configs import check_config, check_settings, read_checked
from rigs.transformers_models import make

WRAPPER = {
    "model_type": "timm_wrapper",
    "architecture": "test_vit",
    "num_classes": 5,
    "architectures": ["TimmWrapperForImageClassification"],
}
DETR = {
    "model_type": "detr",
    "architectures": ["DetrForObjectDetection"],
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "num_queries": 3,
}
HUB = {  # as timm writes one for the hub
    "architecture": "test_vit",
    "num_classes": 5,
    "num_features": 64,
    "global_pool": "map",
    "model_args": {"img_size": 160, "class_token": False},
    "pretrained_cfg": {
        "tag": "r160_in1k",
        "custom_load": False,
        "input_size": [3, 160, 160],
        "fixed_input_size": True,
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "crop_mode": "center",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "num_classes": 5,
        "pool_size": None,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
        "license": "apache-2.0",
        "origin_url": "https://github.com/huggingface/pytorch-image-models",
        "paper_ids": "arXiv:2010.11929",
    },
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOTHERM_HOME", str(tmp_path / "home"))


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A folder that appears when timm is asked for a model: whatever it was given would be opened from here on."""
    made = tmp_path / "marker"

    def create_model(*_, **__):
        made.mkdir(exist_ok=True)
        raise RuntimeError("timm was asked for a model")

    monkeypatch.setattr(timm, "create_model", create_model)
    return made


def written(folder: Path, config: dict, name: str = "config.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(config))
    return folder


# --- what is refused -------------------------------------------------------------------------------------------

HANDED_ON = {
    "a checkpoint": (
        {**WRAPPER, "model_args": {"checkpoint_path": "payload.pth"}},
        r"model_args\.checkpoint_path 'payload\.pth'",
    ),
    "an argument that nobody knows": (
        {**WRAPPER, "model_args": {"depth": 2, "hook": 1}},
        r"model_args\.hook 1; expected an argument that shapes the network",
    ),
    "a path in a harmless argument": (
        {**WRAPPER, "model_args": {"norm_layer": "/tmp/payload"}},
        r"model_args\.norm_layer '/tmp/payload'; expected a number or a short word",
    ),
    "a file beside timm's configuration": (
        {**HUB, "pretrained_cfg": {**HUB["pretrained_cfg"], "file": "payload"}},
        r"pretrained_cfg\.file 'payload'",
    ),
    "an address": ({**WRAPPER, "pretrained_cfg": {"url": "https://x.example/a.pth"}}, r"pretrained_cfg\.url 'https"),
    "another repository": (
        {**HUB, "pretrained_cfg": {"hf_hub_id": "someone/else"}},
        r"pretrained_cfg\.hf_hub_id 'someone/else'",
    ),
    "weights by code": (
        {**HUB, "pretrained_cfg": {"custom_load": True}},
        r"pretrained_cfg\.custom_load True; expected false",
    ),
    "timm's own form": (
        {"architecture": "local-dir:/tmp/evil", "pretrained_cfg": {}},
        r"architecture 'local-dir:/tmp/evil'",
    ),
    "a nested folder": (
        {**DETR, "backbone_config": {"model_type": "timm_backbone", "backbone": "local-dir:evil"}},
        r"backbone_config\.backbone 'local-dir:evil'",
    ),
    "a nested checkpoint": (
        {
            **DETR,
            "backbone_config": {"model_type": "timm_wrapper", "model_args": {"stem": [{"checkpoint_path": "evil"}]}},
        },
        r"backbone_config\.model_args\.stem",
    ),
    "a repository as backbone": (
        {**DETR, "backbone_config": None, "backbone": "someone/else"},
        "backbone 'someone/else'",
    ),
    "arguments of a backbone": (
        {**DETR, "backbone": "resnet18", "backbone_kwargs": {"cache_dir": "x"}},
        r"backbone_kwargs\.cache_dir 'x'",
    ),
    "a kernel of the hub": (
        {"model_type": "vit", "attn_implementation": "someone/kernel"},
        "attn_implementation 'someone/kernel'; expected one of .*eager",
    ),
    "a kernel, nested": (
        {"model_type": "clip", "vision_config": {"_attn_implementation": {"": "flash_attention_2"}}},
        r"vision_config\._attn_implementation",
    ),
    "code": ({"model_type": "vit", "auto_map": {"AutoModel": "code.M"}}, r"auto_map .*isotherm never does that"),
    "leave to run code": (
        {"model_type": "vit", "vision_config": {"trust_remote_code": True}},
        r"vision_config\.trust_remote_code True",
    ),
    "quantised weights": (
        {"model_type": "vit", "quantization_config": {"quant_method": "x"}},
        "quantization_config .*another package's work",
    ),
    "weights elsewhere": (
        {"model_type": "vit", "transformers_weights": "../other.safetensors"},
        "transformers_weights .*own folder",
    ),
    "a file without a suffix": (
        {"model_type": "vit", "text_config": {"vocab_path": "words"}},
        r"text_config\.vocab_path 'words'; expected none",
    ),
    "levels without end": (
        {"model_type": "vit", "a": json.loads("[" * 40 + "]" * 40)},
        r"a(\[0\])* a list of 1; expected at most 20 levels",
    ),
}


@pytest.mark.parametrize("case", HANDED_ON)
def test_nothing_is_handed_on_unchecked(tmp_path, marker, case):
    config, words = HANDED_ON[case]
    folder = written(tmp_path / "model", config)
    with pytest.raises(
        AdapterError, match=rf"config\.json has {words}.*pass allow_code=\"{folder / 'config.json'}\""
    ) as caught:
        load(folder, weights="none")
    assert caught.value.on_command_line().endswith(f"pass --allow-code {folder / 'config.json'}")
    assert "expected" in str(caught.value)
    assert not marker.exists()


BESIDE = {
    "code of a processor": ("preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "code.P"}}, "auto_map"),
    "code of a part": (
        "processor_config.json",
        {"image_processor": {"auto_map": {"AutoImageProcessor": "code.P"}}},
        r"image_processor\.auto_map",
    ),
    "a second model": (
        "processor_config.json",
        {"audio_tokenizer": {"audio_tokenizer_name_or_path": "x"}},
        "audio_tokenizer",
    ),
    "files of a tokeniser": ("tokenizer_config.json", {"init_inputs": ["/etc/passwd"]}, "init_inputs"),
    "timm's configuration": ("preprocessor_config.json", {"pretrained_cfg": {"file": "x"}}, r"pretrained_cfg\.file"),
    "an adapter": ("adapter_config.json", {"megatron_core": "os", "base_model_name_or_path": "x"}, "is an adapter's"),
}


@pytest.mark.parametrize("case", BESIDE)
def test_what_lies_beside_the_configuration(tmp_path, case):
    name, content, words = BESIDE[case]
    folder = written(tmp_path / "model", make("vit").config.to_dict())
    written(folder, content, name)
    with pytest.raises(AdapterError, match=rf"{name} .*{words}.*pass allow_code=\"{folder / name}\""):
        load(folder, weights="none")
    check_settings(
        {"bos_token": "</s>", "chat_template": "{{ '/' }}", "vocab_file": "/home/somebody/vocab.txt", "auto_map": {}},
        name,
    )


@pytest.mark.parametrize(
    "name", ["../base/model.safetensors", "/tmp/model.safetensors", "sub/model.safetensors", 3, ".."]
)
def test_an_index_names_files_of_its_own_folder(tmp_path, name):
    model = make("vit")
    model.save_pretrained(tmp_path / "base")
    folder = written(tmp_path / "model", model.config.to_dict())
    index = {"metadata": {}, "weight_map": dict.fromkeys(model.state_dict(), name)}
    written(folder, index, "model.safetensors.index.json")
    with pytest.raises(AdapterError, match=r"index of weights .*expected the name of a file in the same folder"):
        load(folder)
    with pytest.raises(AdapterError, match="index of weights"):
        load(tmp_path / "base", weights=folder)


@pytest.mark.parametrize("content", ["{", "[]", "\xff\xfe", "[" * 100_000, ""])
def test_files_that_are_no_configuration(tmp_path, content):
    (tmp_path / "config.json").write_text(content, "latin-1")
    with pytest.raises(WeightsError, match=r"the configuration .*config"):
        load(tmp_path)


# --- what is allowed -------------------------------------------------------------------------------------------


def test_what_the_packages_write_is_plain():
    families = (
        "vit",
        "swin",
        "dinov2",
        "clip",
        "siglip",
        "segformer",
        "detr",
        "rt_detr",
        "d_fine",
        "yolos",
        "grounding-dino",
        "owlv2",
        "qwen3_vl",
        "gemma3",
        "llava_onevision",
        "timm_backbone",
    )
    for family in families:
        check_config(json.loads(hf.CONFIG_MAPPING[family]().to_json_string(use_diff=False)), family)
    check_config(HUB, "timm")
    labels = {"0": "n/a", "1": "../etc", "2": "C:\\"}
    check_config(
        {
            "id2label": labels,
            "label2id": {v: int(k) for k, v in labels.items()},
            "_name_or_path": "facebook/detr-resnet-50",
            "bos_token": "</s>",
        },
        "labels",
    )
    check_config(
        {
            "backbone": "tf_efficientnet_b0.ns_jft_in1k",
            "use_pretrained_backbone": True,
            "backbone_kwargs": {"out_indices": [1, 2], "in_chans": 3},
        },
        "old DETR",
    )
    check_config(
        {
            "hidden_act": "gelu_pytorch_tanh",
            "torch_dtype": "bfloat16",
            "transformers_version": "4.38.0.dev0",
            "attn_implementation": None,
        },
        "words",
    )


@pytest.mark.parametrize("form", ["transformers", "timm"])
def test_a_harmless_folder_of_timm_opens(tmp_path, form):
    config = hf.TimmWrapperConfig.from_dict(
        {**HUB, "model_args": {"img_size": 96}} if form == "timm" else {**WRAPPER, "model_args": {"img_size": 96}},
        num_labels=5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = hf.TimmWrapperForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    written(
        tmp_path,
        {**HUB, "model_args": {"img_size": 96}}
        if form == "timm"
        else {**WRAPPER, "model_args": {"img_size": 96}, "pretrained_cfg": HUB["pretrained_cfg"]},
    )
    own = model.state_dict()
    config = open_config(str(tmp_path))
    assert config.name_or_path == str(tmp_path)
    loaded = open_model(str(tmp_path), config, weights="auto", seed=0, allow_code=None)
    assert all(torch.equal(v, own[k]) for k, v in loaded.state_dict().items())
    assert loaded.timm_model.patch_embed.img_size == (96, 96)
    with pytest.raises(AdapterError, match=r"its pixels are timm's affair.*--model timm:test_vit"):
        load(tmp_path)


def test_an_allowed_configuration_is_handed_on_as_it_is(tmp_path, marker, capsys):
    fpath = written(tmp_path / "model", {**WRAPPER, "model_args": {"checkpoint_path": "payload.pth"}}) / "config.json"
    with pytest.raises(Exception, match="timm was asked for a model"):
        load(fpath.parent, weights="none", allow_code=fpath)
    assert "may run code while it is opened" in capsys.readouterr().err
    marker.rmdir()
    assert read_checked(fpath)["model_args"] == {"checkpoint_path": "payload.pth"}  # remembered, with these bytes
    written(fpath.parent, {**WRAPPER, "model_args": {"checkpoint_path": "other.pth"}})
    with pytest.raises(WeightsError, match="has changed since it was allowed to run code"):
        load(fpath.parent, weights="none")
    assert not marker.exists()


def test_other_versions_of_the_configuration_are_not_read(tmp_path, marker):
    folder = written(tmp_path / "model", {**make("vit").config.to_dict(), "configuration_files": ["config.4.0.0.json"]})
    written(folder, {**WRAPPER, "model_args": {"checkpoint_path": "payload.pth"}}, "config.4.0.0.json")
    with pytest.raises(AdapterError, match="has configuration_files a list of 1; expected none"):
        load(folder, weights="none")
    assert load(folder, weights="none", allow_code=folder / "config.json").model.config.model_type == "vit"
    assert not marker.exists()


@pytest.mark.parametrize("named", [["pipeline"], ["AutoModel"], ["BertModel"], [1, {}], None])
def test_only_models_of_this_configuration_are_built(tmp_path, named):
    config = {**make("vit").config.to_dict(), "architectures": named}
    config = open_config(str(written(tmp_path / "model", config)))
    assert class_of(config).__name__ in ("ViTForImageClassification", "ViTModel")


# --- a hub's model by timm -------------------------------------------------------------------------------------


def test_a_hub_model_of_timm_is_built_from_what_was_checked(tmp_path, monkeypatch):
    import huggingface_hub

    snapshot = tmp_path / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    asked = []
    monkeypatch.setattr(
        huggingface_hub,
        "hf_hub_download",
        lambda repository, name, revision=None: asked.append((repository, revision)) or str(snapshot / name),
    )
    monkeypatch.setattr(timm, "create_model", lambda name, **given: asked.append((name, given)) or 1 / 0)
    for bad in (
        {"model_args": {"checkpoint_path": "x"}},
        {"pretrained_cfg": {"custom_load": "hf"}},
        {"url": "https://x.example/a.pth"},
    ):
        written(snapshot, {**HUB, **bad})
        with pytest.raises(AdapterError, match=rf"{snapshot / 'config.json'} has .*pass allow_code="):
            timm_adapter.load("hf-hub:someone/model")
    assert asked == [("someone/model", None)] * 3
    written(snapshot, HUB)
    with pytest.raises(WeightsError, match="ZeroDivisionError"):
        timm_adapter.load("hf_hub:someone/model@v1")
    assert asked[3:] == [("someone/model", "v1"), (f"hf-hub:someone/model@{'a' * 40}", {"pretrained": True})]


@pytest.mark.parametrize(
    "config", [{"num_hidden_layers": 10**6}, {"depths": [2, 2000]}, {"vision_config": {"depth": 1e30}}]
)
def test_layers_that_would_be_built_for_minutes_are_refused(config):
    with pytest.raises(AdapterError, match="expected at most 400 layers"):
        check_config(config, "config.json")
    check_config({"num_hidden_layers": 80, "depths": [2, 2, 6, 2], "num_attention_heads": 4000}, "config.json")
