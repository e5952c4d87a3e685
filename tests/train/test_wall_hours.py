"""A training that may take so many hours: it is left in good order, says so, and can be gone on with."""

from __future__ import annotations

import json
import types

import pytest
import torch

from isotherm.errors import OptionError
from isotherm.jobs.train.recipe_modules import MODULES, recipe_module
from isotherm.train import loop
from isotherm.train.loop import LoopConfig, run_loop
from isotherm.train.run_folder import RunFolder
from train.test_loop import CONFIG, Fitting


def limited(**options):
    return LoopConfig(**{**vars(CONFIG), "steps": 8, "keep_every": 4, **options})


@pytest.fixture
def hourly(monkeypatch):
    """Every look at the clock is an hour later."""
    hours = iter(range(1000))
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(perf_counter=lambda: 3600.0 * next(hours)))


@pytest.mark.usefixtures("hourly")
def test_a_run_is_left_when_its_hours_are_over_and_ends_as_one_that_was_not(tmp_path):
    said, task = [], Fitting()
    folder = RunFolder(tmp_path / "run", {"training": {"rate": 0.1, "wall_hours": 3}})
    with folder.started("train"):
        run_loop(limited(wall_hours=3), task, folder, validate=lambda model, step: {"error": 1.0}, say=said.append)
    steps = int(folder.kept()["step"])
    assert 0 < steps < 8
    assert f"wall_hours is 3, which are over at step {steps} of 8" in said[-1]
    assert "gone on with" in said[-1]
    assert folder.figures()[-1] == {"step": steps, "validation error": 1.0}
    status = json.loads((tmp_path / "run" / "run.json").read_text())["status"]
    assert status.startswith("stopped: wall_hours is 3")
    # another limit is the same run
    again, further = RunFolder(tmp_path / "run", {"training": {"rate": 0.1, "wall_hours": None}}), Fitting()
    with again.started("train"):
        run_loop(limited(), further, again)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    whole = Fitting()
    run_loop(limited(), whole, RunFolder(tmp_path / "whole", {}))
    assert torch.equal(further.model.slope, whole.model.slope)
    assert torch.equal(further.model.bias, whole.model.bias)


@pytest.mark.parametrize("task", MODULES)
def test_every_kind_of_training_has_its_hours(task):
    sources = {"keypoints": "generated", "grounding": "tabletop", "anticipation": "generated"}
    plain = {"data": {"train": [{"format": sources[task]}]}} if task in sources else {}
    plain["training"] = {"wall_hours": 12, **({"backbone_rate": 1.0} if task == "keypoints" else {})}
    training = recipe_module(task).recipe_from(plain).training
    assert isinstance(training, LoopConfig)
    assert training.wall_hours == 12


@pytest.mark.usefixtures("hourly")
def test_a_run_that_is_done_in_time_is_not_left(tmp_path):
    folder = RunFolder(tmp_path, {})
    run_loop(limited(wall_hours=900), Fitting(), folder)
    assert folder.left is None
    assert folder.kept()["step"] == 8


def test_another_rate_is_another_run_whatever_the_hours(tmp_path):
    RunFolder(tmp_path, {"training": {"rate": 0.1, "wall_hours": 3}})
    with pytest.raises(OptionError, match="differ in training"):
        RunFolder(tmp_path, {"training": {"rate": 0.2, "wall_hours": 3}})


@pytest.mark.parametrize("hours", [0, -1.0, float("nan")])
def test_hours_are_above_zero(hours):
    with pytest.raises(OptionError, match=r"wall_hours is .*expected a number of hours above 0, or None"):
        limited(wall_hours=hours)
