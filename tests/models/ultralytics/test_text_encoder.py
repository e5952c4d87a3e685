"""Words that a YOLOE looks for, through the package's own code: its tokenizer, its TorchScript file, its text head."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("ultralytics", reason="ultralytics is not installed")
import isotherm
from isotherm.cli import main
from isotherm.data.pictures import read_picture
from isotherm.errors import WeightsError
from isotherm.models.ultralytics.prompts import EmbeddingPrompt
from isotherm.models.ultralytics.view import load
from isotherm.models.weights import recognise
from isotherm.models.weights.skeleton import sketch
from rigs.yoloe_words import ENCODER, SIZE, WEIGHTS, WORDS, encoded, stand_in_for_clip, write_encoder, write_yoloe

PICTURE = "scene-1.jpg"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with the model and the encoder's file."""
    dpath = tmp_path_factory.mktemp("yoloe")
    shutil.copy(str(files("isotherm") / "assets" / PICTURE), dpath)
    write_encoder(dpath)
    write_yoloe(dpath, dpath / PICTURE)
    return dpath


@pytest.fixture
def place(written, tmp_path, monkeypatch):
    """Where a command is given: the package looks for the encoder's file there."""
    for name in (PICTURE, ENCODER, WEIGHTS):
        (tmp_path / name).symlink_to(written / name)
    monkeypatch.chdir(tmp_path)
    with stand_in_for_clip():
        yield tmp_path


def named(labels: list[str]) -> list[tuple[str, str]]:
    """Words and confidences of labels such as "red cup 0.82"."""
    return [tuple(label.rsplit(" ", 1)) for label in labels]  # type: ignore[misc]


def test_words_become_the_classes_of_what_is_found_in_python_and_on_the_command_line(place, capsys, monkeypatch):
    shown = load(WEIGHTS, class_prompt=EmbeddingPrompt(WORDS, encoded(WORDS)), size=SIZE)
    inputs = shown.prepare([read_picture(PICTURE).array])
    found = shown.find(shown.run(inputs), inputs)
    expected = [
        (WORDS[int(number)], f"{float(sure):.2f}") for number, sure in zip(found.classes, found.confidence, strict=True)
    ]
    assert {word for word, _ in expected} == set(WORDS)

    looks: list[int] = []
    monkeypatch.setattr(recognise, "sketch", lambda pickles: looks.append(len(pickles)) or sketch(pickles))
    explained = isotherm.explain(WEIGHTS, PICTURE, classes=",".join(WORDS), size=SIZE, trust="off")
    assert len(looks) == 1  # what the file is takes as long to see as the model to open
    assert named([one.label for one in explained.maps]) == expected
    assert all(float(one.values.abs().max()) > 0 for one in explained.maps)

    capsys.readouterr()
    command = ["explain", PICTURE, "--model", WEIGHTS, "--classes", ", ".join(WORDS), "--size", str(SIZE)]
    assert main([*command, "--trust", "off", "--out", "run"]) == 0
    assert "deprecated" not in capsys.readouterr().err
    record = json.loads(Path("run/run.json").read_text())
    assert record["options"]["classes"] == ", ".join(WORDS)
    (item,) = map(json.loads, Path("run/items.jsonl").read_text().splitlines())
    assert named([one["label"] for one in item["maps"]]) == expected


def test_other_words_find_other_things(place):
    """So that words count, and not only their number."""
    one, other = (
        [
            part.label.rsplit(" ", 1)[1]
            for part in isotherm.explain(load(WEIGHTS, classes=word, size=SIZE), PICTURE, trust="off").maps
        ]
        for word in WORDS
    )
    assert one
    assert other
    assert one != other


def test_a_file_of_the_encoder_that_is_damaged_is_named(place):
    (place / ENCODER).unlink()
    (place / ENCODER).write_bytes(b"no TorchScript")
    with pytest.raises(WeightsError, match=r"text encoder that turns .* cannot be had"):
        load(WEIGHTS, classes="lamp", size=SIZE)


def test_another_package_of_the_name_clip_is_told_from_the_one_that_is_needed(place, monkeypatch):
    (place / "other" / "clip").mkdir(parents=True)
    (place / "other" / "clip" / "__init__.py").touch()
    monkeypatch.syspath_prepend(place / "other")
    with pytest.raises(WeightsError, match=r"installed is not OpenAI's CLIP.*pip uninstall clip"):
        load(WEIGHTS, classes="lamp", size=SIZE)
