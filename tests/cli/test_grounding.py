"""Grounding from the command line: trained on lines of a file, gone on with, used; every mistake gets its message."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.cli import main
from isotherm.data.tabletop import make_tabletop
from isotherm.train.grounding import run
from isotherm.train.grounding.build import open_grounding, save_grounding
from isotherm.train.run_folder import read_figures
from rigs.grounding import tiny_folder

SETTINGS = (
    "training.batch=4",
    "training.keep_every=2",
    "training.log_every=1",
    "model.head_options={ratio: 2, hidden_dim: 8}",
    "data.hold_out=0.4",
)
TRAIN = ["train", "grounding", "--data", "points.jsonl", "--model", "./tiny", "--steps", "4", "--device", "cpu"]
TRAIN += [word for setting in SETTINGS for word in ("--set", setting)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables as pictures, instructions about them as lines, a tiny language model, and a run."""
    folder = tmp_path_factory.mktemp("grounding")
    lines = []
    for seed in range(10):
        table = make_tabletop(seed, size=32, samples=1, views=("top",))
        Image.fromarray(table.views["top"].picture).save(folder / f"{seed}.png")
        for instruction in table.instructions[:2]:
            x, y = table.points(instruction)["top"]
            place = json.dumps([x / 32, y / 32])
            line = {"picture": f"{seed}.png", "text": instruction.text, "annotation": place, "flag": "single_point"}
            lines.append(json.dumps(line))
    (folder / "points.jsonl").write_text("\n".join(lines))
    tiny_folder(folder / "tiny")
    before = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(run, "EXTREMES", 1)
            assert main([*TRAIN, "--quiet"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(run, "EXTREMES", 1)
    return folder


def test_a_run_holds_everything_and_is_gone_on_with(place, capsys):
    dpath = place / "runs" / "grounding-001"
    names = {f.name for f in dpath.iterdir()}
    assert {"recipe.json", "run.json", "metrics.csv", "checkpoint.pt", "model.safetensors", "best.safetensors"} <= names
    assert {"evaluation.json", "pictures"} <= names
    record = json.loads((dpath / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["instruction_change"] > 1e-5
    assert {"validation err_px", "validation hit"} <= {
        key for row in read_figures(dpath / "metrics.csv") for key in row
    }
    assert main(["train", "grounding", "--resume", "runs/grounding-001", "--device", "cpu"]) == 0
    assert 'try it:  isotherm predict grounding PICTURE "INSTRUCTION"' in capsys.readouterr().out
    assert main(["runs"]) == 0
    assert "grounding-001" in capsys.readouterr().out


def test_what_it_learned_is_used(place, capsys):
    command = ["predict", "grounding", "0.png", "1.png", "pick the blue block", "--run", "runs/grounding-001"]
    assert main([*command, "--device", "cpu", "--out", "found", "--overwrite"]) == 0
    said = capsys.readouterr()
    assert "2 done, 0 failed" in said.out
    assert "the best by validation" in said.err
    assert "pick the blue block: " in said.err
    assert len(json.loads((place / "found" / "places.json").read_text())["pictures"]) == 2


def test_where_no_picture_is_read_nothing_is_promised(place, tmp_path, capsys):
    (tmp_path / "cut.png").write_bytes((place / "0.png").read_bytes()[:60])
    assert (
        main(["predict", "grounding", str(tmp_path / "cut.png"), "pick the red block", "--out", str(tmp_path / "out")])
        == 2
    )
    text = capsys.readouterr()
    assert "look at" not in text.out
    assert "none of the pictures could be read" in text.err


def test_pictures_of_one_name_in_two_folders_both_have_their_files(place, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.png").write_bytes((place / "0.png").read_bytes())
    pictures = [str(tmp_path / name / "t.png") for name in ("a", "b")]
    assert main(["predict", "grounding", *pictures, "pick the red block", "--out", str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out").glob("*.jpg")) == ["t-2.jpg", "t.jpg"]


def test_without_a_run_the_shipped_model_answers(place, capsys):
    line = json.loads((place / "points.jsonl").read_text().splitlines()[0])
    command = ["predict", "grounding", "0.png", "--text", line["text"]]
    assert main([*command, "--device", "cpu", "--out", "shipped", "--overwrite"]) == 0
    assert "the small model that ships with isotherm" in capsys.readouterr().err
    (picture,) = json.loads((place / "shipped" / "places.json").read_text())["pictures"]
    assert picture["steps"][0]["answered"]
    true = json.loads(line["annotation"])
    found = picture["steps"][0]["places"][0]
    assert max(abs(found["x"] / 32 - true[0]), abs(found["y"] / 32 - true[1])) < 0.06


def test_it_is_judged_on_what_it_validates_on_and_on_other_lines(place, capsys):
    assert (
        main(["eval", "grounding", "--run", "runs/grounding-001", "--out", "own", "--extremes", "0", "--device", "cpu"])
        == 0
    )
    own = json.loads((place / "own" / "evaluation.json").read_text())
    kept = json.loads((place / "runs" / "grounding-001" / "evaluation.json").read_text())
    assert own["err_px"] == pytest.approx(kept["err_px"])
    assert "err_px" in capsys.readouterr().out
    command = ["eval", "grounding", "--run", "runs/grounding-001/best.safetensors", "--data", "points.jsonl"]
    assert main([*command, "--out", "all", "--extremes", "1", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "hit@1" in out
    assert "answered: " in out
    assert {"report.html", "hits.png", "coverage.png", "reliability.png"} <= {f.name for f in (place / "all").iterdir()}
    rows = (place / "all" / "places.csv").read_text().splitlines()
    assert len(rows) == 21
    assert sorted(f.name for f in (place / "all" / "pictures").iterdir()) == ["best-1.jpg", "worst-1.jpg"]


def test_views_are_lifted_by_it(place, capsys):
    views = [
        {"name": name, "picture": f"{i}.png", "camera": {"orthographic": list(axes)}}
        for i, (name, axes) in enumerate({"top": ("+x", "-y"), "side": ("+y", "-z"), "operator": ("+x", "-z")}.items())
    ]
    content = {"text": "pick the blue block", "bounds": [[-1, -1, -1], [1, 1, 1]], "views": views}
    (place / "views.json").write_text(json.dumps(content))
    command = ["lift", "views.json", "--run", "runs/grounding-001", "--resolution", "16", "--device", "cpu"]
    assert main([*command, "--out", "lifted", "--overwrite"]) == 0
    assert "standard deviation" in capsys.readouterr().out
    assert len(json.loads((place / "lifted" / "point.json").read_text())["point"]) == 3


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train", "grounding"], "give one of --config RECIPE, --data INSTRUCTIONS, or --resume RUN"),
        (["train", "grounding", "--data", "no.jsonl"], "no.jsonl"),
        (["train", "grounding", "--data", "0.png"], "0.png is no file of instructions; expected .jsonl"),
        (["train", "grounding", "--resume", "runs/grounding-001", "--seed", "3"], "--seed changes the run"),
        ([*TRAIN, "--set", "training.rat=1"], "training.rat is not an option; did you mean 'rate'?"),
        ([*TRAIN, "--model", "imagenet"], "--model is given 2 times"),
        (["train", "grounding", "--data", "points.jsonl", "--model", "scenes"], "no vision-language model"),
        (["predict", "grounding", "0.png"], "where a picture and an instruction belong"),
        (["predict", "grounding", "0.png", "it", "--run", "tiny"], "tiny/model.safetensors is not a grounding model of isotherm"),
        (["predict", "grounding", "0.png", "it", "--run", "0.png"], "0.png"),
        (["predict", "grounding", "0.png", "it", "--run", "nowhere"], "there is no nowhere; expected the folder of a training run"),
        (["eval", "grounding", "--run", "nowhere"], "there is no nowhere; expected the folder of a training run"),
        (["train", "grounding", "--resume", "nowhere"], "there is no nowhere; expected the folder of a training run"),
        (["predict", "grounding", "no.png", "it", "--run", "runs/grounding-001"], "no.png"),
        (["predict", "grounding", "0.png", "<image>", "--run", "runs/grounding-001"], "the text has '<image>' in it"),
        (["predict", "grounding", "0.png", "pick \udcff"], "character 6 of the text is half of a pair"),
        (["predict", "grounding", "0.png", "it", "--most", "100000000"], "--most 100000000: expected at most 1000"),
        (["eval", "grounding", "--run", "runs/grounding-001", "--split", "a"], "--split goes with --data"),
        (
            ["eval", "grounding", "--run", "runs/grounding-001", "--orientation", "stored"],
            "--orientation goes with --data",
        ),
        (["eval", "grounding", "--run", "runs/grounding-001/best.safetensors"], "does not say what to judge it by"),
        (["lift", "points.jsonl"], "points.jsonl"),
        (["lift", "no.json"], "no.json"),
        (["lift", "views.json", "--resolution", "1"], "--resolution 1: expected a whole number of at least 2"),
    ],
)  # fmt: skip
def test_mistakes_get_one_message(place, capsys, command, message):
    assert main(command) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_weights_of_a_training_that_diverged_are_noticed(place, capsys):
    trained, _ = open_grounding(place / "runs" / "grounding-001")
    for part in trained.model.head.parameters():
        part.data.fill_(torch.nan)
    save_grounding(trained, place / "diverged.safetensors")
    views = [
        {"name": n, "picture": "0.png", "camera": {"orthographic": a}}
        for n, a in (("top", ["+x", "-y"]), ("front", ["+x", "-z"]))
    ]
    (place / "two.json").write_text(json.dumps({"text": "pick it", "bounds": [[-1] * 3, [1] * 3], "views": views}))
    for command, where in (
        (["predict", "grounding", "0.png", "pick it"], "0.png"),
        (["lift", "two.json"], "view 'top'"),
        (["eval", "grounding", "--data", "points.jsonl"], "points.jsonl:1"),
    ):
        options = ["--run", "diverged.safetensors", "--out", "diverged", "--overwrite", "--device", "cpu"]
        assert main([*command, *options]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert f"{where}: the model's map holds NaN (" in said
        assert "Traceback" not in said


def test_a_line_that_is_wrong_is_named(place, capsys):
    (place / "bad.jsonl").write_text((place / "points.jsonl").read_text() + '\n{"picture": "0.png", "text": "it"}')
    command = [word if word != "points.jsonl" else "bad.jsonl" for word in TRAIN]
    assert main(command) == 2
    assert "bad.jsonl:21: expected either 'annotation'" in capsys.readouterr().err


def test_a_text_that_no_processor_takes_is_named_before_training(place, capsys):
    line = {"picture": "0.png", "text": "the <image>", "annotation": "[0.5, 0.5]", "flag": "single_point"}
    (place / "bad.jsonl").write_text((place / "points.jsonl").read_text() + "\n" + json.dumps(line))
    command = [word if word != "points.jsonl" else "bad.jsonl" for word in TRAIN]
    assert main([*command, "--out", "never"]) == 2
    assert "bad.jsonl:21: the text has '<image>' in it" in capsys.readouterr().err
    assert not (place / "never").exists()


def test_a_run_whose_instructions_have_changed_since_says_so(place, capsys):
    lines = (place / "points.jsonl").read_text()
    (place / "mine.jsonl").write_text(lines)
    command = [word if word != "points.jsonl" else "mine.jsonl" for word in TRAIN]
    assert main([*command, "--out", "mine", "--quiet"]) == 0
    (place / "mine.jsonl").write_text(lines.rpartition("\n")[0])
    capsys.readouterr()
    assert main(["train", "grounding", "--resume", "mine", "--device", "cpu"]) == 2
    assert (
        "mine holds a run on other instructions: what the files of its data hold has changed" in capsys.readouterr().err
    )


def test_a_line_that_is_no_json_in_the_middle_is_named_or_left_out(place, capsys):
    lines = (place / "points.jsonl").read_text().splitlines()
    (place / "middle.jsonl").write_text("\n".join([*lines[:7], '{"picture": "0.png", ', *lines[7:]]))
    judge = ["eval", "grounding", "--run", "runs/grounding-001", "--data", "middle.jsonl", "--device", "cpu"]
    train = [word if word != "points.jsonl" else "middle.jsonl" for word in TRAIN]
    for command in ([*train, "--out", "unmade"], [*judge, "--out", "unmade"]):
        assert main(command) == 2
        assert "middle.jsonl:8: column 22: not JSON" in capsys.readouterr().err
        assert not (place / "unmade").exists()
    assert main([*judge, "--skip-bad", "--extremes", "0", "--out", "judged"]) == 0
    assert "skipped: middle.jsonl:8: " in capsys.readouterr().err
    assert len((place / "judged" / "places.csv").read_text().splitlines()) == 1 + len(lines)


def test_blindness_is_an_alarm(place, capsys, tmp_path):
    """A causal model whose pictures stand first; its answers say so, too."""
    tiny_folder(tmp_path / "causal", "llava")
    command = [word if word != "./tiny" else str(tmp_path / "causal") for word in TRAIN]
    out = str(tmp_path / "blind")
    assert main([*command, "--conditioning", "as_is", "--out", out, "--set", "data.hold_out=0.0"]) == 0
    assert "change by 0 of their size where the instruction changes" in capsys.readouterr().err.replace("\n", " ")
    image = np.zeros((20, 30, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    assert main(["predict", "grounding", str(tmp_path / "a.png"), "it", "--run", out, "--device", "cpu"]) == 0
    assert "its maps do not depend on the instruction" in capsys.readouterr().err
