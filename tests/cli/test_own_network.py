"""A network of one's own on the command line: by its module, with its weights, its preprocessing and its names; and
files that hold a program.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.cam.methods.rise import RISE
from isotherm.cli import main
from rigs.saved_networks import SIDE, saved, state

MODULE = """
import torch
from torch import nn
from torchvision.transforms import v2


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def build():
    return Blocks()


def transform():
    return v2.Compose([v2.ToImage(), v2.Resize((32, 48)), v2.ToDtype(torch.float32, scale=True)])


broken = {}
ready = transform()


def needs(k):
    return Blocks()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOTHERM_HOME", str(tmp_path / "home"))
    monkeypatch.delitem(sys.modules, "ownnet", raising=False)
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[10:30, 40:60] = (220, 40, 40)
    Image.fromarray(picture).save("photo.png")
    (tmp_path / "ownnet.py").write_text(MODULE)
    (tmp_path / "names.txt").write_text("cat\ndog\nneither\n")
    torch.save({"state_dict": state("model."), "epoch": 3}, "last.ckpt")
    yield tmp_path
    sys.modules.pop("ownnet", None)


@pytest.mark.parametrize("preprocess", ["ownnet:transform", "ownnet:ready"])
def test_a_network_of_ones_own_is_explained_with_its_weights_its_preprocessing_and_its_names(place, preprocess, capsys):
    line = f"explain photo.png --model ownnet:build --weights last.ckpt --preprocess {preprocess} --names names.txt --class dog --trust off --out run"
    assert main(line.split()) == 0, capsys.readouterr().err
    (item,) = map(json.loads, (place / "run/items.jsonl").read_text().splitlines())
    assert item["maps"][0]["label"].startswith("dog")
    record = json.loads((place / "run/run.json").read_text())
    assert record["model"]["name"] == "ownnet:build, last.ckpt"
    assert "32 x 48 pixels" in json.dumps(record["model"]["premises"])
    assert "RANDOM" not in capsys.readouterr().err
    assert record["options"]["preprocess"] == preprocess


def test_weights_that_a_network_makes_anew_are_announced_as_random(place, capsys):
    assert (
        main(["explain", "photo.png", "--model", "ownnet:build", "--size", "32", "--trust", "off", "--out", "run"]) == 0
    )
    words = capsys.readouterr()
    assert "WARNING: RANDOM WEIGHTS. The weights are random (seed 0): ownnet:build makes them anew" in words.err
    assert "RANDOM WEIGHTS" in (place / "run/report.html").read_text()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--model ownnet:biuld", "ownnet has no biuld; did you mean build?"),
        ("--model onwnet:build", "there is no module onwnet; it is looked for where Python looks and in the working folder"),
        ("--model ownnet:broken", "ownnet:broken is a dict; expected a network, or a function without arguments"),
        ("--model ownnet:needs", "ownnet:needs() failed (TypeError: needs() missing 1 required positional argument"),
        ("--model ownnet:build --weights none", "--weights none: ownnet:build makes its own weights; leave --weights out"),
        ("--model ownnet:build --weights nowhere.pt", "there is no weights file nowhere.pt"),
        ("--model ownnet:build --preprocess ownnet", "--preprocess ownnet: expected package.module:name"),
        ("--model ownnet:build --preprocess ownnet:broken", "--preprocess ownnet:broken is a dict"),
        ("--model ownnet:build --names nowhere.txt", "the class names nowhere.txt cannot be read"),
        ("--model ownnet:build --names photo.png", "the class names photo.png are no text"),
        ("--preprocess ownnet:ready", "--preprocess goes with --model"),
        ("--names names.txt", "--names goes with --model"),
        ("--model ownnet:build --size 32 --allow-code nowhere.pt", "--allow-code nowhere.pt: there is no such file"),
        ("--model scenes --max-findings 0", "--max-findings 0: expected a whole number of at least 1"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message_and_leaves_nothing_behind(place, line, words, capsys):
    before = set(place.iterdir())
    assert main(["explain", "photo.png", *line.split()]) == 2
    assert words in capsys.readouterr().err
    assert {p for p in place.iterdir() if p.name != "__pycache__"} == before


def test_wrong_options_are_found_before_a_model_is_opened(place, monkeypatch, capsys):
    monkeypatch.setattr("isotherm.jobs.open_model.open_with", None)
    (place / "full").mkdir()
    (place / "full/a.txt").write_text("x")
    for line, words in {
        "--class dog --box 0": "give one of them",
        "--out full": "--out full holds other files",
        "--colormap infernal-red": "--colormap",
        "--top 0": "--top 0",
        "--box 1,2": "--box 1,2",
        "--names nowhere.txt": "nowhere.txt cannot be read",
    }.items():
        assert main(["explain", "photo.png", "--model", "resnet18", *line.split()]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("line", ["--class unicorn", "--box 1,2,3,4", "--layer nowhere", "--top 900"])
def test_a_mistake_that_only_the_open_model_shows_leaves_no_folder(place, line, capsys):
    assert main(["explain", "photo.png", "photo.png", "--model", "scenes", *line.split()]) == 2
    message = capsys.readouterr().err
    assert message.count("isotherm: ") == 1, message
    assert "method: " not in message  # nothing was made with it
    assert not list(place.glob("runs/*"))


def test_a_whole_network_and_programs_are_explained_by_their_path_once_permitted(place, capsys, monkeypatch):
    import warnings

    monkeypatch.setattr(RISE, "__post_init__", lambda method: object.__setattr__(method, "masks", 40))  # not 4,000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of writing old forms
        for name in ("whole.pt", "script.pt", "program.pt2"):
            saved(place, name)
    for name, method in {"whole.pt": "GradCAM", "script.pt": "RISE", "program.pt2": "RISE"}.items():
        line = f"explain photo.png --model {name} --size {SIDE} --trust off"
        assert main([*line.split(), "--out", f"of {name}"]) == 2
        assert f"pass --allow-code {name}" in capsys.readouterr().err
        assert main([*line.split(), "--allow-code", name, "--out", f"of {name}"]) == 0, capsys.readouterr().err
        out = capsys.readouterr()
        assert f"({method})" in out.err
        assert ("method: RISE, the default for this kind of model" in out.err) == (method == "RISE")
    assert main([*line.split(), "--out", "again"]) == 0  # remembered
    capsys.readouterr()
    assert main(["explain", "photo.png", "--model", "program.pt2", "--method", "gradcam", "--trust", "off"]) == 2
    assert "GradCAM reads layers, and program.pt2 is a torch.export program, which has none" in capsys.readouterr().err


def test_a_large_picture_is_read_where_the_user_says_so(place, capsys):
    Image.new("L", (8001, 8000), 90).save("large.png")
    line = ["explain", "large.png", "--model", "scenes", "--trust", "off", "--raw", "none"]
    assert main([*line, "--out", "refused"]) == 2
    assert "at most 50 are read: make it smaller first, or raise --max-pixels to 64008000" in capsys.readouterr().err
    assert main(["explain", "photo.png", *line[2:], "--max-pixels", "4799", "--out", "small"]) == 2
    assert "or raise --max-pixels to 4800" in capsys.readouterr().err
    assert main(["explain", "photo.png", *line[2:], "--max-pixels", "4800", "--out", "done"]) == 0


def test_the_console_script_finds_a_module_in_the_working_folder(place, programs):
    here = str(place)
    code = f"import sys; sys.path = [p for p in sys.path if p not in ('', {here!r})]; from isotherm.cli import main; sys.exit(main(sys.argv[1:]))"
    line = "layers --model ownnet:build --weights last.ckpt --size 32"
    done = programs.run(code, line.split(), cwd=place)
    assert (done.returncode, "body: Sequential" in done.stdout) == (0, True), done.stderr
