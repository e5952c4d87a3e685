"""Anticipation from the command line: an old configuration trained as it is, gone on with and judged; trackers are told and
always finished.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from isotherm.cli import main
from isotherm.train.anticipation import judge, run
from isotherm.train.run_folder import read_figures
from isotherm.train.tracking import Tracking
from rigs.action_videos import write_actions, write_videos
from rigs.anticipation import SETTINGS
from rigs.trackers import KeptTracker

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = {
    f"model.settings.{name}": value
    for name, value in (SETTINGS | {"pred_num_attention_heads": 2}).items()
    if name != "crop_size"
}
SMALL |= {
    "model.probe.heads": 2,
    "training.steps": 3,
    "training.epochs": "null",
    "training.keep_every": 2,
    "training.log_every": 1,
}
SET = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]


@pytest.fixture
def trackers(monkeypatch):
    made = []

    def tracker(self, dpath, recipe, *, job="train"):
        made.append(KeptTracker(recipe, job))
        return made[-1]

    monkeypatch.setattr(Tracking, "tracker", tracker)
    return made


def old_file(folder, **top):
    """The shipped configuration with small videos in place of EPIC-KITCHENS, and random weights."""
    plain = yaml.safe_load((RECIPES / "ek100-heatmap.yaml").read_text())
    data = plain["experiment"]["data"]
    (folder / "P01" / "videos").mkdir(parents=True)
    write_videos(folder, ("P01_01",))
    (folder / "P01_01.mp4").rename(folder / "P01" / "videos" / "P01_01.MP4")
    write_actions(folder, ("P01_01",))
    data |= {"base_path": ".", "dataset_train": "train.csv", "dataset_val": "train.csv", "heatmap_path": "gaze"}
    data |= {"anticipation_time_sec": [0.2, 0.2], "train_anticipation_time_sec": [0.1, 0.3], "frames_per_clip": 4}
    data |= {"resolution": 16, "frames_per_second": 4}
    plain["model_kwargs"].pop("checkpoint")
    plain["model_kwargs"]["pretrain_kwargs"]["predictor"]["heatmap_patch_size"] = 8
    plain["experiment"]["optimization"] |= {"use_bfloat16": False, "batch_size": 1}
    plain |= {"folder": str(folder / "runs"), "tasks_per_node": 2} | top
    (folder / "old.yaml").write_text(yaml.safe_dump(plain))
    return folder / "old.yaml"


def test_an_old_configuration_trains_as_it_is_and_is_judged(tmp_path, trackers, monkeypatch, capsys):
    config = old_file(tmp_path)
    command = ["train", "anticipation", "--config", str(config), "--device", "cpu", *SET]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "anchored at the action's end" in shown.out + shown.err
    dpath = tmp_path / "runs" / "action_anticipation_frozen" / "ek100-vitl16-heatmap"
    assert f"run: {dpath}" in shown.out
    record = json.loads((dpath / "run.json").read_text())
    assert (record["status"], record["recipe"]) == ("finished", "anticipation")
    rows = read_figures(dpath / "metrics.csv")
    assert rows[-1]["step"] == 3
    assert "validation action_recall" in rows[-1]
    assert [(t.job, t.ends) for t in trackers] == [("train", [False])]
    assert trackers[0].rows[0].keys() >= {"step", "loss"}
    each = [f"{head}_{figure}" for head in ("verb", "noun", "action") for figure in ("accuracy", "recall")]
    for part in ("training", "validation"):
        names = {f"{part} {name}" for name in each}
        # validated and kept behind the second step and the last
        assert [row["step"] for row in trackers[0].rows if names <= row.keys()] == [2, 3]
    grid = json.loads((dpath / "recipe.json").read_text())["training"]["probes"]
    assert len(grid) > 1
    for row in (row for row in trackers[0].rows if "loss" in row):  # a rate of every probe, each of its own optimiser
        shares = {row[f"rate probe {i}"] / one["rate"] for i, one in enumerate(grid)}
        assert max(shares) == pytest.approx(min(shares))
        assert "rate model" in row
    again = ["train", "anticipation", "--resume", str(dpath), "--device", "cpu", "--quiet"]
    assert main(again) == 0
    (dpath / "run.json").rename(dpath / "kept.json")  # as of a run that was killed before its first step
    assert main(again) == 2
    assert f"once more, with --out {dpath}" in capsys.readouterr().err
    (dpath / "kept.json").rename(dpath / "run.json")
    assert main([*command, "--judge", "--quiet"]) == 0
    figures = json.loads((dpath / "judged" / "evaluation.json").read_text())
    assert figures["action_recall"] == json.loads((dpath / "evaluation.json").read_text())["action_recall"]
    assert [(t.job, t.ends) for t in trackers[2:]] == [("eval", [False])]
    assert {f"validation {name}" for name in each} <= trackers[2].rows[0].keys()

    def fails(*arguments, **options):
        raise torch.cuda.OutOfMemoryError("no memory is left")

    monkeypatch.setattr(judge, "answers_of", fails)
    assert main([*command, "--judge", "--quiet"]) != 0
    assert [(t.job, t.ends) for t in trackers[3:]] == [("eval", [True])]
    assert json.loads((dpath / "judged" / "run.json").read_text())["status"].startswith("stopped: ")


def test_a_tracker_is_finished_after_an_error(tmp_path, trackers, monkeypatch, capsys):
    config = old_file(tmp_path, val_only=True)
    command = ["train", "anticipation", "--config", str(config), "--device", "cpu", *SET]
    assert main(command) == 2
    assert "holds no trained model" in capsys.readouterr().err
    config.write_text(config.read_text().replace("val_only: true", "val_only: false"))

    def fails(*arguments, **options):
        raise torch.cuda.OutOfMemoryError("no memory is left")

    monkeypatch.setattr(run, "run_loop", fails)
    assert main(command) != 0
    assert "no memory is left" in capsys.readouterr().err
    assert [(t.job, t.ends) for t in trackers] == [("train", [True])]


def test_the_first_recipe_is_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = [
        "data.train=[{format: generated, count: 20}]",
        "data.validation=[{format: generated, split: validation, count: 10}]",
    ]
    small += ["training.batch=10", "training.keep_every=2", "training.schedule.warm_up=0"]
    words = [word for setting in small for word in ("--set", setting)]
    command = ["train", "anticipation", "--config", str(RECIPES / "first_gaze.yaml"), "--device", "cpu", "--steps", "2"]
    assert main([*command, "--seed", "3", *words]) == 0
    assert "runs/anticipation-001" in capsys.readouterr().out
    recipe = json.loads(Path("runs/anticipation-001/recipe.json").read_text())
    assert (recipe["training"]["seed"], recipe["model"]["seed"], recipe["data"]["plan"]["seed"]) == (3, 3, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give one of --config RECIPE"),
        (["--config", "a.yaml", "--resume", "runs/a"], "give one of"),
        (["--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["--resume", "nowhere"], "recipe.json and run.json"),
        (["--config", "a.yaml", "--steps", "3", "--epochs", "2"], "give one of them"),
        (["--config", str(RECIPES / "first_gaze.yaml"), "--judge"], "give its folder with --out"),
    ],
)
def test_mistakes_get_their_message(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "anticipation", *words]) == 2
    assert message in capsys.readouterr().err
