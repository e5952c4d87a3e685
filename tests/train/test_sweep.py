"""Sweeps: which trials there are, and twelve of them on Ray, killed half-way and gone on with."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from isotherm.errors import OptionError
from isotherm.jobs.train.recipe_modules import MODULES, recipe_module
from isotherm.train.sweep import (
    EarlyStopping,
    Range,
    Sweep,
    SweepConfig,
    Trial,
    keep_sweep,
    read_sweep,
    shown,
    trial_dpath,
    trials_of,
    with_values,
)
from isotherm.train.sweep_report import matrix_picture, table_rows, write_sweep_report

RECIPE = """
data:
  train: [{format: generated, count: 32, side: 64}]
  validation: [{format: generated, split: validation, count: 8, side: 64}]
  margin: 0.0
model: {widths: [8, 16], depth: 1, head_options: {widths: [8], groups: 4}}
training: {size: [64, 64], steps: 12, batch: 8, backbone_rate: 1.0, keep_every: 4, log_every: 4, schedule: {warm_up: 2}}
"""
SWEEP = """
recipe: toy.yaml
values:
  training.objective.sigma: [1.0, 2.0, 3.0]
  training.rate: [1e-4, 3e-4, 1e-3, 3e-3]
at_once: 2
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "toy.yaml").write_text(RECIPE)
    (tmp_path / "toy_sweep.yaml").write_text(SWEEP)
    return tmp_path


def test_a_grid_has_every_combination(folder):
    sweep = read_sweep(folder / "toy_sweep.yaml", recipe_module)
    recipe = sweep.recipe
    assert sweep.root == folder
    assert (sweep.metric, sweep.better) == ("point_err_px", "less")
    listed = sweep.config.listed()
    assert len(listed) == 12
    assert listed[1] == {"training.objective.sigma": 1.0, "training.rate": 3e-4}
    changed = with_values(recipe, listed[1])
    assert changed["training"]["objective"]["sigma"] == 1.0
    assert changed["training"]["rate"] == 3e-4
    assert "objective" not in recipe["training"]  # the recipe itself stays
    assert shown(listed[1]) == "sigma=1, rate=0.0003"
    assert trial_dpath(folder, listed[1]).name == "sigma=1,rate=0.0003"


def test_random_draws_follow_the_seed_and_their_ranges():
    values = {
        "training.rate": Range(low=1e-4, high=1e-2, log=True),
        "training.batch": Range(low=8, high=64, whole=True),
        "model.head": ("deconv", "convex"),
    }
    config = SweepConfig(recipe="x", values=values, search="random", trials=400)
    listed = config.listed()
    assert listed == SweepConfig(recipe="x", values=values, search="random", trials=400).listed()
    assert listed != SweepConfig(recipe="x", values=values, search="random", trials=400, seed=1).listed()
    rates = np.array([v["training.rate"] for v in listed])
    assert ((rates >= 1e-4) & (rates <= 1e-2)).all()
    assert 0.4 < (rates < 1e-3).mean() < 0.6  # evenly in the logarithm
    assert all(isinstance(v["training.batch"], int) and 8 <= v["training.batch"] <= 64 for v in listed)
    assert {v["model.head"] for v in listed} == {"deconv", "convex"}
    assert SweepConfig(recipe="x", values=values, search="tpe").listed() is None


def made_trials(folder):
    for i, sigma in enumerate((1.0, 2.0)):
        for j, rate in enumerate((0.1, 0.2)):
            dpath = trial_dpath(folder, {"a.sigma": sigma, "b.rate": rate})
            dpath.mkdir(parents=True)
            (dpath / ".trial.json").write_text(json.dumps({"a.sigma": sigma, "b.rate": rate}))
            if (i, j) != (1, 1):
                rows = [f"{s},{5 - s / 10 + i + 2 * j},0.5" for s in (10, 20)] + [f"30,{5 + i + 2 * j},0.4"]
                (dpath / "metrics.csv").write_text("\n".join(["step,validation point_err_px,validation oks", *rows]))
    return trials_of(folder, "point_err_px", {dpath.name: "finished"})


def test_trials_are_read_from_their_folders_and_reported(tmp_path):
    trials = made_trials(tmp_path)
    assert [t.values["a.sigma"] for t in trials] == [1.0, 2.0, 1.0, 2.0]
    assert [t.best for t in trials][:3] == [3.0, 4.0, 5.0]
    assert math.isnan(trials[3].best)
    assert trials[0].step == 20
    assert trials[0].figures["oks"] == 0.5
    assert trials[3].status == "finished"  # as it is told
    assert trials[0].status == "unfinished"
    config = SweepConfig(recipe="x", values={"a.sigma": (1.0, 2.0), "b.rate": (0.1, 0.2)})
    sweep = Sweep(config, {}, tmp_path, recipe_module("keypoints"), "point_err_px")
    head, rows = table_rows(sweep, trials)
    assert head == ["sigma", "rate", "point_err_px", "at step", "oks", "status"]
    assert rows[0] == ["1", "0.1", "3", "20", "0.5", "unfinished"]
    assert rows[3][2] == "–"
    page = write_sweep_report(sweep, trials, tmp_path, command="isotherm sweep <x>.yaml").read_text()
    assert "isotherm sweep &lt;x&gt;.yaml" in page
    assert "sigma=1, rate=0.1" in page
    assert "less point_err_px is better" in page
    assert f"isotherm predict keypoints PICTURE --run {trials[0].dpath}" in page
    assert {"report.html", "trials.csv", "matrix.png", "curves.png"} <= {f.name for f in tmp_path.iterdir()}
    assert matrix_picture(sweep, trials[:1]) is None  # one value is no picture
    nothing = [Trial({"a.sigma": 1.0, "b.rate": 0.1}, tmp_path, math.nan, 0, "failed: why")]
    assert "No trial has been validated yet" in write_sweep_report(sweep, nothing, tmp_path, command="x").read_text()


def test_where_more_is_better_the_largest_is_the_best(tmp_path):
    made_trials(tmp_path)
    found = trials_of(tmp_path, "point_err_px", {}, better="more")
    assert [t.best for t in found[:3]] == [7.0, 6.0, 5.0]
    assert [t.step for t in found[:3]] == [30, 30, 30]
    assert math.isnan(found[3].best)


@pytest.mark.parametrize("task", MODULES)
def test_every_kind_of_recipe_offers_what_a_sweep_needs(task, tmp_path):
    module = recipe_module(task)
    assert set(module.METRICS.values()) <= {"less", "more"}
    assert str(tmp_path) in module.usage_of(tmp_path)
    generated = {"format": "generated"}
    sources = {"keypoints": generated, "grounding": {"format": "tabletop"}, "anticipation": generated}
    plain = {"data": {"train": [sources[task]], "validation": [sources[task]]}} if task in sources else {}
    plain["training"] = {"rate": 0.5, **({"backbone_rate": 1.0} if task == "keypoints" else {})}
    assert module.recipe_from(plain, where="here", judged=True).training.rate == 0.5
    with pytest.raises(OptionError, match=r"here: training\.colour is not an option"):
        module.recipe_from({**plain, "training": {"colour": 1}}, where="here")
    assert callable(module.train_run)


def test_another_sweep_is_refused(tmp_path):
    keep_sweep(tmp_path, {"values": {"a": [1]}, "at_once": 1}, {})
    keep_sweep(tmp_path, {"values": {"a": [1]}, "at_once": 2}, {})  # how much runs at once changes no trial
    with pytest.raises(OptionError, match="holds another sweep"):
        keep_sweep(tmp_path, {"values": {"a": [2]}}, {})


def test_a_sweep_from_before_an_option_is_the_same_sweep(tmp_path):
    config = asdict(SweepConfig(recipe="a.yaml", values={"training.rate": (1e-3,)}))
    keep_sweep(tmp_path, config, {"training": {}})
    fpath = tmp_path / "sweep.json"
    content = json.loads(fpath.read_text())
    for name in ("guardrails", "seed_each"):
        del content["sweep"][name]
    fpath.write_text(json.dumps(content))
    keep_sweep(tmp_path, config, {"training": {}})
    with pytest.raises(OptionError, match="holds another sweep"):
        keep_sweep(tmp_path, config | {"seed_each": "training.seed"}, {"training": {}})


def test_bad_sweeps(folder):
    for text, says in [
        ("recipe: toy.yaml\nvalues: {}\n", "values is empty"),
        ("recipe: toy.yaml\nvalues: {training.rate: 3}\n", "expected a list of values"),
        ("recipe: toy.yaml\nvalues: {training.rate: {low: 2, high: 1}}\n", "expected low < high"),
        ("recipe: toy.yaml\nvalues: {training.rate: [-1]}\n", "with rate=-1.*rate is -1"),
        ("recipe: toy.yaml\nvalues: {training.steps: [0]}\n", "steps is 0"),
        ("recipe: toy.yaml\nvalues: {training.rate: [1]}\nmetric: beauty\n", "metric is 'beauty'"),
        ("recipe: toy.yaml\ntask: scones\nvalues: {training.rate: [1]}\n", "task is 'scones'; did you mean 'scenes'"),
        ("recipe: toy.yaml\ntask: scenes\nvalues: {training.rate: [1]}\n", "data is not an option"),
        ("recipe: toy.yaml\nvalues: {data.validation: [[]], data.hold_out: [0]}\n", "nothing validates"),
        ("recipe: toy.yaml\nvalues: {training.rate: [1]}\nstop_early: {factor: 1}\n", "factor 1"),
    ]:
        (folder / "bad.yaml").write_text(text)
        with pytest.raises(OptionError, match=says):
            read_sweep(folder / "bad.yaml", recipe_module)
    with pytest.raises(OptionError, match="grace is 0"):
        EarlyStopping(grace=0)
