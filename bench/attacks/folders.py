"""Folders of models: arguments that are handed on to other packages, code beside the weights, and files that lie elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from bench.attacks.attack import Attack, Hostile, Write

DOORS = ("model", "explain")
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
CODE = "import os\nos.mkdir({marker!r})\nclass M: pass\n"


@cache
def _vit() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The configuration and the weights of a tiny classifier."""
    import transformers

    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=16,
        architectures=["ViTForImageClassification"],
        num_labels=3,  # type: ignore[call-arg]
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = transformers.ViTForImageClassification(config)
    return json.loads(config.to_json_string(use_diff=False)), net.state_dict()


def vit_folder(folder: Path, *, config: Mapping[str, Any] | None = None, weights: bool = True) -> Path:
    """A tiny classifier as transformers keeps one."""
    own, tensors = _vit()
    (folder / "config.json").write_text(json.dumps({**own, **(config or {})}))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}})
    )
    if weights:
        save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    return folder


def _config(content: Callable[[str], Mapping[str, Any]]) -> Write:
    """A folder of nothing but a configuration, beside a payload of the marker's."""

    def write(folder: Path, marker: Path) -> Path:
        vit_folder(folder)
        (folder / "config.json").write_text(json.dumps(content(str(marker))))
        (folder / "payload.py").write_text(CODE.format(marker=str(marker)))
        torch.save(Hostile(marker), folder / "payload.pth")
        return folder

    return write


def _beside(fname: str, content: Callable[[str], str], *, config: Mapping[str, Any] | None = None) -> Write:
    """A whole model, with one file more."""

    def write(folder: Path, marker: Path) -> Path:
        vit_folder(folder, config=config)
        fpath = folder / fname
        fpath.parent.mkdir(exist_ok=True)
        fpath.write_text(content(str(marker)))
        (folder / "payload.py").write_text(CODE.format(marker=str(marker)))
        return folder

    return write


CONFIGS: dict[str, Callable[[str], Mapping[str, Any]]] = {
    "a checkpoint among timm's arguments": lambda m: {**WRAPPER, "model_args": {"checkpoint_path": "payload.pth"}},
    "the same, nested": lambda m: {
        **DETR,
        "backbone_config": {**WRAPPER, "model_args": {"stem": [{"checkpoint_path": "payload.pth"}]}},
    },
    "a file in timm's configuration": lambda m: {**WRAPPER, "pretrained_cfg": {"file": "payload.pth"}},
    "an address in timm's configuration": lambda m: {**WRAPPER, "pretrained_cfg": {"url": "http://127.0.0.1:1/a.pth"}},
    "a repository in timm's configuration": lambda m: {**WRAPPER, "pretrained_cfg": {"hf_hub_id": "someone/else"}},
    "weights by code of timm's": lambda m: {**WRAPPER, "pretrained_cfg": {"custom_load": True}},
    "timm's local folder as the architecture": lambda m: {**WRAPPER, "architecture": "local-dir:."},
    "a repository as the architecture": lambda m: {**WRAPPER, "architecture": "hf-hub:someone/else"},
    "a backbone in a folder": lambda m: {
        **DETR,
        "backbone_config": {"model_type": "timm_backbone", "backbone": "local-dir:."},
    },
    "a backbone in a repository": lambda m: {**DETR, "backbone": "someone/else", "use_timm_backbone": False},
    "arguments of a backbone": lambda m: {
        **DETR,
        "backbone": "resnet18",
        "backbone_kwargs": {"checkpoint_path": "payload.pth"},
    },
    "code by auto_map": lambda m: {"model_type": "vit", "auto_map": {"AutoModel": "payload.M"}},
    "code of a kind of its own": lambda m: {"model_type": "payload", "auto_map": {"AutoConfig": "payload.M"}},
    "code of another repository": lambda m: {"model_type": "vit", "auto_map": {"AutoModel": "someone/else--payload.M"}},
    "leave to run code": lambda m: {
        "model_type": "vit",
        "trust_remote_code": True,
        "auto_map": {"AutoModel": "payload.M"},
    },
    "a kernel of the hub": lambda m: {"model_type": "vit", "attn_implementation": "someone/kernel"},
    "a kernel, nested": lambda m: {
        "model_type": "clip",
        "vision_config": {"_attn_implementation": "someone/kernel:payload"},
    },
    "another package's weights": lambda m: {"model_type": "vit", "quantization_config": {"quant_method": "payload"}},
    "weights elsewhere": lambda m: {"model_type": "vit", "transformers_weights": "../other.safetensors"},
    "a layer's class by name": lambda m: {**_vit()[0], "hidden_act": "payload.M"},
    "a type by name": lambda m: {**_vit()[0], "torch_dtype": "__import__('os')"},
    "a network of 10**9 layers": lambda m: {**_vit()[0], "num_hidden_layers": 10**9},
    "a layer of 10**9 numbers": lambda m: {**_vit()[0], "hidden_size": 10**9},
    "pictures of 10**9 pixels": lambda m: {**_vit()[0], "image_size": 10**9},
    "levels without end": lambda m: {"model_type": "vit", "a": json.loads("[" * 500 + "]" * 500)},
    "a configuration of other versions": lambda m: {**_vit()[0], "configuration_files": ["config.4.0.0.json"]},
}
CODE_BESIDE: dict[str, tuple[str, Callable[[str], str]]] = {
    "a processor's code": (
        "preprocessor_config.json",
        lambda m: json.dumps({"auto_map": {"AutoImageProcessor": "payload.M"}}),
    ),
    "a part's code": (
        "processor_config.json",
        lambda m: json.dumps({"image_processor": {"auto_map": {"AutoImageProcessor": "payload.M"}}}),
    ),
    "a tokeniser's code": (
        "tokenizer_config.json",
        lambda m: json.dumps({"auto_map": {"AutoTokenizer": ["payload.M", None]}}),
    ),
    "a tokeniser's files elsewhere": ("tokenizer_config.json", lambda m: json.dumps({"init_inputs": ["/etc/passwd"]})),
    "an adapter of another model": (
        "adapter_config.json",
        lambda m: json.dumps({"megatron_core": "payload", "base_model_name_or_path": "someone/else"}),
    ),
    "timm's file in the processor": (
        "preprocessor_config.json",
        lambda m: json.dumps({"pretrained_cfg": {"file": "payload.pth"}}),
    ),
    "an index that leads out": (
        "model.safetensors.index.json",
        lambda m: json.dumps({"weight_map": {"vit.embeddings.cls_token": "../outside.safetensors"}}),
    ),
    "an index by whole paths": (
        "model.safetensors.index.json",
        lambda m: json.dumps({"weight_map": {"vit.embeddings.cls_token": m}}),
    ),
}
HARMLESS_BESIDE: dict[str, tuple[str, Callable[[str], str]]] = {
    "an index of pickles beside harmless weights": (
        "pytorch_model.bin.index.json",
        lambda m: json.dumps({"weight_map": {"vit.embeddings.cls_token": "payload.pth"}}),
    ),
    "a package in the folder": ("__init__.py", lambda m: CODE.format(marker=m)),
    "a module called as transformers is": ("transformers.py", lambda m: CODE.format(marker=m)),
    "a module called as torch is": ("torch/__init__.py", lambda m: CODE.format(marker=m)),
    "a model's code that nothing names": ("modeling_vit.py", lambda m: CODE.format(marker=m)),
    "generation by code": ("custom_generate/generate.py", lambda m: CODE.format(marker=m)),
    "a template that calls": (
        "chat_template.jinja",
        lambda m: (
            "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__.os.mkdir('" + m + "') }}"
        ),
    ),
    "a start-up file of Python": ("sitecustomize.py", lambda m: CODE.format(marker=m)),
}


def _bin(folder: Path, marker: Path) -> Path:
    """A whole model whose weights are a pickle."""
    vit_folder(folder, weights=False)
    torch.save({**_vit()[1], "hostile": Hostile(marker)}, folder / "pytorch_model.bin")
    return folder


def _both(folder: Path, marker: Path) -> Path:
    """Harmless weights, and a pickle of the older name beside them."""
    vit_folder(folder)
    torch.save(Hostile(marker), folder / "pytorch_model.bin")
    return folder


def _linked(folder: Path, marker: Path) -> Path:
    """Weights that are a link to a file outside, which a sharer of folders should not be able to make one read."""
    vit_folder(folder, weights=False)
    (folder / "model.safetensors").symlink_to("/dev/zero")
    return folder


def _shards(folder: Path, marker: Path) -> Path:
    """An index whose file of the same folder is a link to endless zeros."""
    vit_folder(folder, weights=False)
    (folder / "part.safetensors").symlink_to("/dev/zero")
    index = {"metadata": {}, "weight_map": dict.fromkeys(_vit()[1], "part.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _pickled_shards(folder: Path, marker: Path) -> Path:
    """An index whose file is a pickle."""
    vit_folder(folder, weights=False)
    torch.save({**_vit()[1], "hostile": Hostile(marker)}, folder / "part.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(_vit()[1], "part.bin")}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder


def _piped_shards(folder: Path, marker: Path) -> Path:
    """An index whose file of the same folder is a pipe that nobody writes to."""
    vit_folder(folder, weights=False)
    os.mkfifo(folder / "part.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(_vit()[1], "part.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _pipe(fname: str) -> Write:
    def write(folder: Path, marker: Path) -> Path:
        vit_folder(folder)
        (folder / fname).unlink()
        os.mkfifo(folder / fname)
        return folder

    return write


def _ring(folder: Path, marker: Path) -> Path:
    """A configuration that is a link to itself."""
    (folder / "config.json").symlink_to("config.json")
    return folder


ATTACKS: tuple[Attack, ...] = (
    *(
        Attack(
            name,
            "folder",
            "uses up memory or time" if "10**9" in name or "end" in name else "runs code",
            _config(how),
            DOORS,
        )
        for name, how in CONFIGS.items()
    ),
    *(Attack(name, "folder", "runs code", _beside(*how), DOORS) for name, how in CODE_BESIDE.items()),
    *(
        Attack(name, "folder", "runs code", _beside(*how), DOORS, harmless=True)
        for name, how in HARMLESS_BESIDE.items()
    ),
    Attack("weights that are a pickle", "folder", "runs code", _bin, DOORS),
    Attack("an index of pickles", "folder", "runs code", _pickled_shards, DOORS),
    Attack("a pickle beside harmless weights", "folder", "runs code", _both, DOORS, harmless=True),
    Attack("weights that are a link to endless zeros", "folder", "uses up memory or time", _linked, DOORS),
    Attack("the same by an index", "folder", "uses up memory or time", _shards, DOORS),
    Attack("an index of a pipe", "folder", "uses up memory or time", _piped_shards, DOORS),
    Attack("weights that are a pipe", "folder", "uses up memory or time", _pipe("model.safetensors"), DOORS),
    Attack("a configuration that is a pipe", "folder", "uses up memory or time", _pipe("config.json"), DOORS),
    Attack("a configuration that is a link to itself", "folder", "uses up memory or time", _ring, DOORS),
)
