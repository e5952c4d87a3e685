"""A file that describes a network that it does not hold is refused before the network is built."""

from __future__ import annotations

import json
import threading
from importlib.resources import files

import pytest
import torch
from torch import nn

from isotherm import limits
from isotherm.errors import WeightsError
from isotherm.untrusted.networks import built, counted
from isotherm.zoo.detector.network import HeatmapDetectorConfig, load_detector, random_detector, save_detector
from isotherm.zoo.scenes.network import SceneNetConfig, load_scene_net, random_scene_net, save_scene_net


def changed(fpath, **header):
    """The file with other words in its header; the same tensors."""
    data = fpath.read_bytes()
    length = int.from_bytes(data[:8], "little")
    whole = json.loads(data[8 : 8 + length])
    own = json.loads(whole["__metadata__"]["isotherm"]) | header
    whole["__metadata__"]["isotherm"] = json.dumps(own)
    text = json.dumps(whole).encode()
    fpath.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return fpath


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"depth": 10**18}, "a network of more than 4000 modules"),
        ({"hidden": 8 << 24}, "does not fit its own description"),
        ({"widths": [8 << 24, 8 << 24]}, "does not fit its own description"),
        ({"depth": 2.5}, "cannot be read as a heatmap detector"),
        ({"typical": float("inf"), "hidden": 10**400}, "cannot be read as a heatmap detector"),
    ],
)
def test_a_detector_that_the_file_does_not_hold(tmp_path, header, says):
    config = HeatmapDetectorConfig(names=("a", "b"), size=(32, 32), widths=(8, 8), depth=1, hidden=8)
    fpath = save_detector(random_detector(config, 0), tmp_path / "model.safetensors")
    assert load_detector(fpath).config == config
    with pytest.raises(WeightsError, match=rf"model\.safetensors .*{says}"):
        load_detector(changed(fpath, **header))


def test_a_classifier_that_the_file_does_not_hold(tmp_path):
    config = SceneNetConfig(names=("a", "b"), size=(32, 32), widths=(4, 4, 4, 4))
    fpath = save_scene_net(random_scene_net(config, 0), tmp_path / "model.safetensors")
    assert load_scene_net(fpath).config == config
    with pytest.raises(WeightsError, match="does not fit its own description"):
        load_scene_net(changed(fpath, widths=[1 << 20] * 4))


def test_files_of_too_many_tensors_or_too_long_a_header(tmp_path):
    fpath = save_scene_net(
        random_scene_net(SceneNetConfig(names=("a",), size=(32, 32), widths=(4, 4, 4, 4)), 0),
        tmp_path / "a.safetensors",
    )
    data = fpath.read_bytes()
    length = int.from_bytes(data[:8], "little")
    whole = json.loads(data[8 : 8 + length])
    for i in range(limits.TENSORS):
        whole[f"x{i}"] = {"dtype": "F32", "shape": [0], "data_offsets": [len(data) - 8 - length] * 2}
    text = json.dumps(whole).encode()
    fpath.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(WeightsError, match="tensors; at most 20000 are read"):
        load_scene_net(fpath)
    fpath.write_bytes((limits.OWN_HEADER_BYTES + 1).to_bytes(8, "little") + b"{")
    with pytest.raises(WeightsError, match="claims a header of 8388609 bytes"):
        load_scene_net(fpath)


def test_numbers_and_modules_are_counted_in_this_thread_alone():
    with pytest.raises(ValueError, match="more than 100 numbers"), counted(100):
        nn.Linear(10, 10)
    with pytest.raises(ValueError, match="more than 4000 modules"), counted():
        nn.Sequential(*(nn.Linear(1, 1) for _ in range(limits.MODULES)))
    with counted(100):
        nn.Linear(9, 9)
        other = threading.Thread(target=nn.Linear, args=(100, 100))
        other.start()
        other.join()
    nn.Linear(100, 100)  # nothing is counted any more


def test_what_is_built_is_the_same_as_without_a_trial():
    def build():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return nn.Linear(2, 2)

    seen = []
    layer = built(build, seen.append)
    assert torch.equal(layer.weight, build().weight)
    assert [one.weight.device.type for one in seen] == ["meta"]


def test_a_grounding_model_of_more_steps_than_any(tmp_path):
    from isotherm.train.grounding.build import open_grounding

    fpath = tmp_path / "model.safetensors"
    fpath.write_bytes((files("isotherm") / "assets" / "tiny-grounding-0.safetensors").read_bytes())
    for steps in (1 << 32, 1 << 24):
        with pytest.raises(WeightsError, match=r"model\.safetensors .*a network of more than"):
            open_grounding(changed(fpath, outputs={"steps": steps, "grasp": False}))
