"""What a user says of how a classifier was trained: the probability then stands beside the logit, in pictures and in the report."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
import transformers as hf
from PIL import Image
from torch import nn

from isotherm import explain, view_of
from isotherm.cli.main import main
from isotherm.draw.describe import title_of
from isotherm.errors import OptionError
from isotherm.jobs.explain.outputs import lines_of
from isotherm.models.torchvision import view as torchvision_view
from rigs.torchvision_detectors import build

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
NAMES = ["cat", "dog", "bus"]


def of_transformers():
    config = hf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", id2label=dict(enumerate(NAMES))
    )
    return hf.ResNetForImageClassification(config).eval()


KINDS = {
    "a module of one's own": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    ),
    "timm": lambda: timm.create_model("test_resnet", num_classes=3),
    "transformers": of_transformers,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_the_probability_is_told_as_the_user_says_it_is_made(kind, activation):
    torch.manual_seed(0)
    options = {} if kind == "transformers" else {"names": NAMES}
    maps = explain(
        KINDS[kind]().eval(), PICTURE, target=tuple(NAMES), size=64, activation=activation, trust="off", **options
    )
    logits = torch.tensor([m.meta["score"] for m in maps])
    if activation is None:
        assert not {"probability", "activation"} & set(maps[0].meta)
        return
    chances = logits.softmax(0) if activation == "softmax" else logits.sigmoid()
    for name, m, chance in zip(NAMES, maps, chances.tolist(), strict=True):
        assert m.meta["probability"] == pytest.approx(chance, abs=1e-5)
        assert m.label == (f"{name} {100 * chance:.0f} %" if activation == "softmax" else name)
        # in the report and above the picture it stands behind the name, whatever makes it
        assert title_of(m) == f"{name} {100 * chance:.0f} %"
    assert f"by {activation}, logit {logits[0]:.2f}" in lines_of(maps)[1]


def test_the_command_line_says_it_too_and_draws_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_of_activation.py").write_text("from rigs.plain_classifier import SmallNet as build\n")
    Image.fromarray(PICTURE).save("photo.png")
    line = ["explain", "photo.png", "--model", "mine_of_activation:build", "--activation", "sigmoid", "--trust", "off"]
    assert main(line) == 0
    told = capsys.readouterr()
    assert " % by sigmoid, logit " in told.err + told.out
    (report,) = tmp_path.rglob("report.html")
    assert " %" in report.read_text().split('class="pick"')[1][:80]
    assert main([*line[:4], "--activation", "tanh"]) == 2
    assert "--activation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("open_it", "message"),
    [
        (lambda: view_of(nn.Conv2d(3, 4, 3, padding=1).eval(), activation="sigmoid"), "no classifier; leave it out"),
        (lambda: torchvision_view.wrap(build("ssdlite"), activation="sigmoid"), "no classifier; leave it out"),
        (
            lambda: view_of(nn.Sequential(nn.Flatten(), nn.LazyLinear(1)).eval(), size=16, activation="softmax"),
            "one class, whose share would always be 100 %",
        ),
        (lambda: explain("imagenet", PICTURE, activation="sigmoid"), "known to have been trained by a softmax"),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(open_it, message):
    with pytest.raises(OptionError, match=message):
        open_it()
