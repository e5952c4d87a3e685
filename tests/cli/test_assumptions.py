"""Random weights and assumptions in what the commands print, write and record."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files

import pytest
import torch

from isotherm.cli import main
from isotherm.runs.read import read_items, read_run

WARNING = "WARNING: RANDOM WEIGHTS. The weights are random (seed 0)"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(str(files("isotherm") / "assets" / "scene-1.jpg"), "scene-1.jpg")
    return tmp_path


def test_random_weights_are_announced_in_console_page_and_record(place, quick_verdicts, capsys):
    assert main(["explain", "scene-1.jpg", "--model", "scenes", "--weights", "none", "--out", "out"]) == 0
    told = capsys.readouterr()
    assert told.err.startswith(WARNING)
    assert (told.err + told.out).count("WARNING") == 1
    flat = " ".join(told.err.split())
    assert "believable" not in flat
    assert "(RANDOM WEIGHTS: nothing was learned" in flat
    record = read_run(place / "out")
    assert record["model"]["warnings"][0].startswith(WARNING)
    assert {
        "about": "weights",
        "value": "random (seed 0)",
        "source": "random",
        "why": "nothing trained them",
    } in record["model"]["premises"]
    (item,) = read_items(place / "out")
    assert item["warnings"][0].startswith(WARNING)
    assert "RANDOM WEIGHTS" in item["maps"][0]["trust"]
    head, _, body = (place / "out" / "report.html").read_text().partition("<main>")
    assert WARNING in head
    assert f"<li>{WARNING}" in body
    assert "RANDOM WEIGHTS: nothing was learned" in body


def test_behind_several_pictures_the_alarm_of_the_start_is_repeated_at_the_end(place, capsys):
    shutil.copy("scene-1.jpg", "again.jpg")
    options = ["--model", "scenes", "--weights", "none", "--trust", "off", "--out", "out"]
    assert main(["explain", "scene-1.jpg", "again.jpg", *options]) == 0
    told = capsys.readouterr()
    assert told.err.startswith(WARNING)
    assert told.out.startswith(WARNING)
    assert (told.err + told.out).count("WARNING") == 2


def test_an_architecture_without_weights_is_announced_even_when_quiet(place, capsys):
    assert (
        main(
            [
                "explain",
                "scene-1.jpg",
                "--model",
                "yolo11n.yaml",
                "--size",
                "64",
                "--trust",
                "off",
                "--quiet",
                "--out",
                "out",
            ]
        )
        == 0
    )
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(WARNING)
    assert "random weights" in read_run(place / "out")["model"]["name"]


def test_an_assumption_is_told_in_console_page_and_record(place, capsys):
    from torchvision.models import shufflenet_v2_x0_5

    torch.manual_seed(0)
    model = shufflenet_v2_x0_5(num_classes=4)
    model(torch.rand(2, 3, 64, 64))  # training mode: as if something had trained it
    torch.save(model.state_dict(), "mine.pt")
    command = ["explain", "scene-1.jpg", "--model", "shufflenet_v2_x0_5", "--weights", "mine.pt", "--trust", "off"]
    assert main([*command, "--out", "out"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    line = "an assumption: mine.pt does not say what it was trained on"
    assert "RANDOM" not in told
    assert line in told
    record = read_run(place / "out")
    assert [p["source"] for p in record["model"]["premises"]] == ["assumed"]
    assert record["model"]["warnings"] == []
    assert any(line in chosen for chosen in read_items(place / "out")[0]["chosen"])
    assert line in (place / "out" / "report.html").read_text()
    assert main([*command, "--size", "96", "--out", "other"]) == 0
    assert "input: 96 x 96 pixels, as given" in " ".join(capsys.readouterr().err.split())
    assert [p["source"] for p in read_run(place / "other")["model"]["premises"]] == ["given", "assumed"]


def test_a_question_and_a_count_by_random_weights_are_announced(place, capsys):
    asked = ["scene-1.jpg", "--model", "tiny-vlm", "--weights", "none"]
    assert (
        main(["explain", *asked, "--prompt", "how many red ?", "--answer", "2", "--trust", "off", "--out", "out"]) == 0
    )
    assert capsys.readouterr().err.startswith(WARNING)
    assert read_run(place / "out")["model"]["warnings"]
    assert main(["count", *asked, "--category", "red", "--strategy", "global", "--out", "counts"]) in (0, 1)
    told = capsys.readouterr()
    assert told.err.startswith(WARNING)
    assert (told.err + told.out).count("WARNING") == 1
    assert read_run(place / "counts")["model"]["warnings"]
    assert json.loads((place / "counts" / "scene-1.json").read_text())["notes"][0].startswith(WARNING)
