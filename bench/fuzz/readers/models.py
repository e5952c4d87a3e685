"""Models that were trained here, weights of others, and what describes them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save

from bench.fuzz.reader import Reader, written
from isotherm import open_model
from isotherm.grounding.outputs import Outputs
from isotherm.models.own.trained_here import file_of
from isotherm.models.ultralytics.description import read_description
from isotherm.models.ultralytics.vocabulary import lacks_classes
from isotherm.models.weights.configs import check_index, check_settings, read_checked
from isotherm.models.weights.files import open_weights
from isotherm.models.weights.permission import allowed_files
from isotherm.models.weights.pickles import words_in
from isotherm.models.weights.recognise import recognise
from isotherm.train.anticipation.build import (
    AnticipationChoice,
    TrainedAnticipation,
    make_anticipation,
    open_anticipation,
    save_anticipation,
)
from isotherm.train.anticipation.tiny import tiny_model
from isotherm.train.grounding.build import (
    GroundingChoice,
    TrainedGrounding,
    make_grounding,
    open_grounding,
    save_grounding,
)
from isotherm.train.grounding.objective import GroundingObjective
from isotherm.train.keypoint_build import ModelChoice, TrainedKeypoints, make_model, open_keypoints, save_keypoints
from isotherm.train.keypoint_model import Objective
from isotherm.train.recipe import from_plain
from isotherm.zoo.detector.network import HeatmapDetectorConfig, load_detector, random_detector, save_detector
from isotherm.zoo.scenes.network import SceneNetConfig, load_scene_net, random_scene_net, save_scene_net
from isotherm.zoo.tiny_vlm.network import load_tiny_vlm


def _keypoints(fpath: Path) -> None:
    choice = ModelChoice(widths=(8,), depth=1, head="convex", head_options={"ratio": 2})
    trained = TrainedKeypoints(
        model=make_model(choice, 2, size=(32, 32)).eval(),
        choice=choice,
        objective=Objective(sigma=1.5),
        size=(32, 32),
        names=("a", "b"),
        exchangeable=((0, 1),),
        lines={"ab": (0, 1)},
    )
    save_keypoints(trained, fpath)


def _grounding(fpath: Path) -> None:
    choice = GroundingChoice(
        model="tiny-grounding",
        pretrained=False,
        frozen=False,
        head_options={"ratio": 4, "hidden_dim": 8},
        side=64,
        seed=3,
    )
    model = make_grounding(choice, Outputs()).eval()
    save_grounding(
        TrainedGrounding(
            model=model, choice=choice, objective=GroundingObjective(sigma=1.5), outputs=Outputs(), side=64
        ),
        fpath,
        half=True,
    )


def _anticipation(fpath: Path) -> None:
    choice = from_plain(AnticipationChoice, tiny_model(side=32, patch=16, frames=4, hidden=16, layers=1))
    classes = {"verb": ("take", "put"), "noun": ("cup",), "action": ("take cup", "put cup")}
    model = make_anticipation(choice, classes, rate_hz=4.0).eval()
    save_anticipation(TrainedAnticipation(model, choice, classes, 4.0, 4, {"steps": 1}), fpath)


def _detector(fpath: Path) -> None:
    save_detector(
        random_detector(HeatmapDetectorConfig(names=("a", "b"), size=(32, 32), widths=(8, 8), depth=1, hidden=8), 0),
        fpath,
    )


def _scenes(fpath: Path) -> None:
    save_scene_net(random_scene_net(SceneNetConfig(names=("a", "b"), size=(32, 32), widths=(4, 4, 4, 4)), 0), fpath)


def _weights(folder: Path) -> Sequence[bytes]:
    state = {"head.weight": torch.ones(2, 3), "head.bias": torch.zeros(2)}
    seeds = [save(state)]
    for content in (state, {"epoch": 3, "model": state}):
        for new in (True, False):
            file = io.BytesIO()
            torch.save(content, file, _use_new_zipfile_serialization=new)
            seeds.append(file.getvalue())
    return seeds


def _config(folder: Path) -> Sequence[bytes]:
    plain = {
        "model_type": "timm_wrapper",
        "architectures": ["TimmWrapperForImageClassification"],
        "image_size": 224,
        "id2label": {"0": "cat"},
        "model_args": {"img_size": 64, "depth": 2},
        "backbone_config": {"hidden_sizes": [8, 16], "patch_size": [2, 2]},
        "torch_dtype": "float32",
    }
    return [json.dumps(plain).encode()]


LAYERS = """nc: 2
scales: {n: [0.5, 0.25, 1024]}
activation: nn.ReLU()
backbone:
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 2, C3k2, [32, False, 0.25]]
head:
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 1], 1, Concat, [1]]
  - [-1, 1, Classify, [nc]]
"""


def _vit(folder: Path) -> None:
    """A model of transformers of a few kilobytes, as a folder."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()

    config = ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=16, patch_size=8
    )
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)


def _of_vit(name: str) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        _vit(folder)
        return [(folder / name).read_bytes()]

    return seeds


def _folder_reader(name: str, fname: str) -> Reader:
    return Reader(
        name=name,
        sources=("models/transformers/load.py", "models/weights/configs.py"),
        form="json",
        call=lambda path: open_model(str(path.parent)),
        fname=fname,
        prepare=_vit,
        seeds=_of_vit(fname),
        slow=True,
        names_file=False,  # of a folder
    )


def _allowed(path: Path) -> None:
    os.environ["ISOTHERM_HOME"] = str(path.parent)
    try:
        allowed_files()
    finally:
        del os.environ["ISOTHERM_HOME"]


READERS = (
    _folder_reader("folder of transformers", "config.json"),
    _folder_reader("processor of transformers", "preprocessor_config.json"),
    Reader(
        name="record of what may run code",
        sources=("models/weights/permission.py",),
        form="json",
        call=_allowed,
        fname="permissions.json",
        seeds=lambda folder: [
            b'{"format": "isotherm.permission/1", "files": {"/a.pt": {"sha256": "00", "allowed_at": "2026"}}}'
        ],
    ),
    Reader(
        name="keypoint model",
        slow=True,
        sources=("train/keypoint_build.py", "headed.py", "train/recipe.py"),
        form="safetensors",
        call=open_keypoints,
        fname="model.safetensors",
        seeds=written("model.safetensors", _keypoints),
    ),
    Reader(
        name="grounding model",
        slow=True,
        sources=("train/grounding/build.py", "headed.py"),
        form="safetensors",
        call=open_grounding,
        fname="model.safetensors",
        seeds=written("model.safetensors", _grounding),
    ),
    Reader(
        name="anticipation model",
        slow=True,
        sources=("train/anticipation/build.py", "headed.py"),
        form="safetensors",
        call=open_anticipation,
        fname="model.safetensors",
        seeds=written("model.safetensors", _anticipation),
    ),
    Reader(
        name="detector",
        slow=True,
        sources=("zoo/detector/network.py", "headed.py"),
        form="safetensors",
        call=load_detector,
        fname="model.safetensors",
        seeds=written("model.safetensors", _detector),
    ),
    Reader(
        name="scene classifier",
        slow=True,
        sources=("zoo/scenes/network.py", "headed.py"),
        form="safetensors",
        call=load_scene_net,
        fname="model.safetensors",
        seeds=written("model.safetensors", _scenes),
    ),
    Reader(
        name="tiny-vlm",
        slow=True,
        sources=("zoo/tiny_vlm/network.py", "headed.py"),
        form="safetensors",
        call=load_tiny_vlm,
        fname="model.safetensors",
        seeds=lambda folder: [
            (Path(load_tiny_vlm.__code__.co_filename).parents[2] / "assets/tiny-vlm-0.safetensors").read_bytes()
        ],
    ),
    Reader(
        name="weights",
        sources=("models/weights/files.py", "models/weights/headers.py", "models/weights/pickles.py"),
        form="bytes",
        call=open_weights,
        fname="weights.pt",
        seeds=_weights,
    ),
    Reader(
        name="weights in safetensors",
        sources=("models/weights/files.py", "models/weights/headers.py"),
        form="safetensors",
        call=open_weights,
        fname="weights.safetensors",
        seeds=lambda folder: _weights(folder)[:1],
    ),
    Reader(
        name="what a file is",
        sources=("models/weights/recognise.py", "models/weights/foreign.py", "models/weights/pickles.py"),
        form="bytes",
        call=lambda path: (recognise(path), words_in(path), file_of(path)),
        fname="yoloe.bin",
        seeds=_weights,
    ),
    Reader(
        name="what a safetensors file is",
        sources=("models/weights/recognise.py", "models/own/trained_here.py"),
        form="safetensors",
        call=lambda path: (recognise(path), file_of(path), lacks_classes(path)),
        fname="yoloe.safetensors",
        seeds=written("model.safetensors", _keypoints),
    ),
    Reader(
        name="configuration of a model",
        sources=("models/weights/configs.py", "models/weights/config_words.py"),
        form="json",
        call=read_checked,
        fname="config.json",
        seeds=_config,
    ),
    Reader(
        name="settings of a processor",
        sources=("models/weights/configs.py",),
        form="json",
        call=lambda path: read_checked(path, check=check_settings),
        fname="config.json",
        seeds=_config,
    ),
    Reader(
        name="index of weights",
        sources=("models/weights/configs.py",),
        form="json",
        call=check_index,
        fname="model.safetensors.index.json",
        seeds=lambda folder: [
            b'{"metadata": {"total_size": 8}, "weight_map": {"a.b": "model-1.safetensors", "c": "model-2.safetensors"}}'
        ],
    ),
    Reader(
        name="description of a YOLO",
        sources=("models/ultralytics/description.py",),
        form="yaml",
        call=lambda path: read_description(path.read_bytes(), path),
        fname="yolo.yaml",
        seeds=lambda folder: [
            LAYERS.encode(),
            json.dumps(
                {"nc": 2, "backbone": [[-1, 1, "Conv", [16, 3, 2]]], "head": [[-1, 1, "Classify", ["nc"]]]}
            ).encode(),
        ],
    ),
)
