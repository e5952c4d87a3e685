"""What a file of a model is, found out before anything in it is unpickled; and what each door says to it."""

from __future__ import annotations

import pickle
import pickletools
import re
import warnings

import pytest
import torch

from isotherm import open_model
from isotherm.cli import main
from isotherm.errors import AdapterError, WeightsError
from isotherm.models.weights import skeleton
from isotherm.models.weights.files import open_weights
from isotherm.models.weights.recognise import recognise
from isotherm.models.weights.skeleton import sketch
from rigs.hostile_weights import Evil, crafted
from rigs.saved_networks import SAVED, blocks, saved, state


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ISOTHERM_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_every_kind_of_file_is_recognised_and_nothing_is_unpickled(tmp_path, name, monkeypatch):
    fpath = saved(tmp_path, name)
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setattr(pickle, "Unpickler", None)
    file = recognise(fpath)
    assert file.kind == SAVED[name][1]
    assert SAVED[name][2] in file.words


WORDS = {
    # the file: what Python says of it as a model, and what the command line says
    "state.pt": (r'name the network too, such as open_model\("resnet50", weights="\S+state\.pt"\)', "such as --model resnet50 --weights state.pt, or, for a network of your own, --model package.module:factory --weights state.pt"),
    "last.ckpt": (r"weights \(4 tensors .*in its entry state_dict of Lightning without their network", "--weights last.ckpt"),
    "whole.pt": (r'a whole network, \S+Blocks, asks for rigs.*could run any code.* pass allow_code="\S+whole\.pt"', "pass --allow-code whole.pt"),
    "script.pt": (r'is a TorchScript program and could run any code .*pass allow_code="\S+script\.pt"$', "pass --allow-code script.pt"),
    "program.pt2": (r'is a program of torch\.export and could run any code', "pass --allow-code program.pt2"),
    "keypoints.safetensors": ("cannot be read as a keypoint model of isotherm", "cannot be read as a keypoint model of isotherm"),
    "llm.gguf": ("give the folder or the hub's name of the model that it was made from", "that it was made from"),
    "keras.h5": (r"export the model to ONNX \(tf2onnx\) and give that file, or give explain a function", "give --model FILE.onnx --method rise"),
    "frozen.pb": ("a graph of TensorFlow; export the model", "--model FILE.onnx --method rise"),
    "sizes.pkl": ("give explain a function of pictures that asks it", "in Python alone, by a function of pictures"),
    "numbers.pt": ("give a model's name, a file of ultralytics, TorchScript", "numbers.pt is a pickle of a mapping of lr, and no network"),
    "cut.safetensors": ("is damaged or cut short", "copy or download it again"),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_file_named_as_a_model_is_answered_in_the_words_of_the_door(tmp_path, name, monkeypatch, capsys):
    fpath = saved(tmp_path, name)
    with pytest.raises((AdapterError, WeightsError), match=WORDS[name][0]) as caught:
        open_model(fpath)
    assert "--model" not in str(caught.value)
    assert "--allow-code" not in str(caught.value)
    monkeypatch.chdir(tmp_path)
    assert main(["layers", "--model", name]) == 2
    message = capsys.readouterr().err
    assert WORDS[name][1] in message
    assert not re.search(r"\b\w+=|open_model|allow_code", message), message


@pytest.mark.parametrize(
    ("name", "python", "command"),
    [
        ("two.pt", r'say which, such as weights="\S+two\.pt#model"', "say which, such as --weights two.pt#model"),
        ("script.pt", r'give it as the model.*explain\("\S+script\.pt", photo, method="rise"\)', "--model script.pt --method rise"),
        ("net.onnx", r'explain\("\S+net\.onnx", photo', "--model net.onnx --method rise"),
        ("keypoints.safetensors", r'open it by open_model\("\S+keypoints\.safetensors"\)', "--run keypoints.safetensors"),
        ("whole.pt", r'pass allow_code="\S+whole\.pt"', "pass --allow-code whole.pt"),
        ("llm.gguf", "is GGUF", "is GGUF"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_file_named_as_weights_is_answered_in_the_words_of_the_door(
    tmp_path, name, python, command, monkeypatch, capsys
):
    fpath = saved(tmp_path, name)
    with pytest.raises(WeightsError, match=python):
        open_model("resnet18", weights=fpath)
    monkeypatch.chdir(tmp_path)
    assert main(["layers", "--model", "resnet18", "--weights", name]) == 2
    message = capsys.readouterr().err
    assert command in message
    assert not re.search(r"\b\w+=|open_model|allow_code", message), message


def test_permission_is_not_asked_for_what_could_not_be_opened_with_it(tmp_path):
    content = pickle.dumps(blocks(), protocol=2)
    for module, words in (
        (b"no_such_package", "whose package no_such_package is neither installed nor in the working folder"),
        (b"__main__", "written in a script or notebook, where no other program can find it"),
    ):
        fpath = tmp_path / f"{module.decode()}.pt"
        fpath.write_bytes(content.replace(b"crigs.saved_networks\n", b"c" + module + b"\n"))
        for door in (open_model, open_weights):
            with pytest.raises(WeightsError, match=words) as caught:
                door(fpath)
            assert "allow" not in str(caught.value)


@pytest.mark.parametrize("how", ["zip", "legacy", "2", "4"])
def test_a_crafted_pickle_named_as_a_model_runs_nothing_and_asks_for_nothing(tmp_path, how):
    marker = tmp_path / "marker"
    fpath = crafted(tmp_path / "evil.pt", how, marker)
    with pytest.raises(AdapterError, match="and no network") as caught:
        open_model(fpath, allow_code=fpath)
    assert "allow" not in str(caught.value)
    assert not marker.exists()


def test_the_sketch_of_a_pickle_is_what_the_pickle_builds(tmp_path):
    """Against the real unpickler, for every protocol."""
    value = {"a": [1, (2, 3), {"b": "text"}], "none": None, "deep": [[[5]]]}
    for protocol in range(2, 6):
        assert _plain(sketch(pickle.dumps(value, protocol)).roots[0]) == _plain_of(value)
    names = [arg for op, arg, _ in pickletools.genops(pickle.dumps(Evil(tmp_path), 2)) if op.name == "GLOBAL"]
    assert sketch(pickle.dumps(Evil(tmp_path), 2)).names == (names[0].replace(" ", "."),)


def _plain(one):
    if one.entries is not None:
        return {key: _plain(inner) for key, inner in one.entries.items()}
    return [_plain(inner) for inner in one.items] if one.items else one.value


def _plain_of(value):
    if isinstance(value, dict):
        return {key: _plain_of(inner) for key, inner in value.items()}
    return [_plain_of(inner) for inner in value] if isinstance(value, list | tuple) else value


def test_a_pickle_that_asks_for_its_entries_without_end_is_given_up(monkeypatch):
    """A million entries here, by a fortieth of the limit: forty million take seconds until they are given up."""
    again = b"h\x00h\x01\x85R0" * 400
    pairs = b"](" + b"K\x01K\x02\x86" * 2_500 + b"e"
    content = b"\x80\x02ccollections\nOrderedDict\nq\x000" + pairs + b"q\x010" + again + b"N."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(sketch(content).roots) == 1  # the limit alone is against it
        monkeypatch.setattr(skeleton, "MOST_STEPS", skeleton.MOST_STEPS // 40)
        assert sketch(content).roots == ()


def test_weights_are_the_same_whatever_stands_in_front_of_their_names(tmp_path):
    photo = torch.rand(1, 3, 32, 32)
    expected = blocks()(photo)
    for front in ("", "module.", "_orig_mod.", "model.", "module._orig_mod.", "net.0."):
        torch.save({"state_dict": state(front)}, tmp_path / "last.ckpt")
        view = open_model("rigs.saved_networks:Blocks", weights=tmp_path / "last.ckpt", size=32)
        assert torch.equal(view.model(photo), expected), front
