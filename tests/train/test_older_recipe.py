"""Runs that an earlier version began are gone on with, or refused by the option that stands in the way."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import pytest
import torch
import yaml

from isotherm.cli.main import main
from isotherm.errors import OptionError
from isotherm.jobs.train.recipe_modules import MODULES, recipe_module
from isotherm.runs.file import to_json
from isotherm.train.keypoint_run import recipe_from, train_run
from isotherm.train.older_recipe import by_defaults, differences
from isotherm.train.run_folder import RunFolder

RECIPE = """
data:
  train: [{format: generated, count: 16, side: 32}]
  validation: [{format: generated, split: validation, count: 4, side: 32}]
  margin: 0.0
model: {widths: [8, 16], depth: 1, head_options: {widths: [8], groups: 4}}
training: {size: [32, 32], steps: 6, batch: 4, backbone_rate: 1.0, keep_every: 2, log_every: 2, schedule: {warm_up: 2}, augmentation: {flip: 0.5, degrees: 90}}
"""
SINCE = {
    ("data",): ("fit",),
    ("training",): ("judged_by", "wall_hours"),
    ("training", "objective"): ("decoder",),
    ("training", "augmentation"): ("crop", "ratio", "turn", "vertical_flip"),
}
"""Options that recipes did not have at first."""


def edited(dpath, change):
    fpath = dpath / "recipe.json"
    content = json.loads(fpath.read_text())
    change(content)
    fpath.write_text(json.dumps(content))


def as_before(recipe):
    for path, names in SINCE.items():
        part = recipe
        for key in path:
            part = part[key]
        for name in names:
            del part[name]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """(a run that was interrupted, and written down as an earlier version would have; the same, left alone)"""
    root = tmp_path_factory.mktemp("runs")
    recipe = recipe_from(yaml.safe_load(RECIPE))

    def interrupt(step, figures):
        if step == 4:
            raise KeyboardInterrupt

    train_run(recipe, root / "whole", root=root)
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, root / "older", root=root, on_validation=interrupt)
    edited(root / "older", as_before)
    checkpoint = root / "older" / "checkpoint.pt"
    state = torch.load(checkpoint, weights_only=True)
    assert state["step"] == 2
    del state["watch"]["steps_of"], state["watch"]["warned"]
    torch.save(state, checkpoint)
    return root / "older", root / "whole"


@pytest.mark.usefixtures("unchecked")  # what is computed has tests of its own
def test_a_run_from_before_its_options_ends_as_one_that_was_left_alone(runs, capsys):
    older, whole = runs
    assert "fit" not in json.loads((older / "recipe.json").read_text())["data"]
    assert main(["train", "keypoints", "--resume", str(older), "--quiet"]) == 0, capsys.readouterr()
    states = [torch.load(run / "checkpoint.pt", weights_only=True) for run in (older, whole)]
    assert states[0]["step"] == states[1]["step"] == 6
    for name, value in states[1]["model"].items():
        assert torch.equal(states[0]["model"][name], value), name
    assert [start["status"] for start in json.loads((older / "run.json").read_text())["starts"]] == [
        "interrupted",
        "finished",
    ]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r["training"].update(gone=1), r"training\.gone is not an option"),
        (lambda r: r.pop("model"), r"recipe\.json has no model"),
        (lambda r: r["training"].update(steps="many"), r"training\.steps: .*; given 'many'"),
    ],
)
def test_what_cannot_be_gone_on_with_is_named(runs, tmp_path, capsys, change, says):
    (tmp_path / "run").mkdir()
    for name in ("recipe.json", "run.json"):
        (tmp_path / "run" / name).write_text((runs[1] / name).read_text())
    edited(tmp_path / "run", change)
    assert main(["train", "keypoints", "--resume", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr().err
    assert len(printed.strip().splitlines()) == 1, printed
    assert re.search(says, printed), printed


@pytest.mark.parametrize("task", MODULES)
def test_every_kind_of_recipe_is_completed(task):
    sources = {"keypoints": "generated", "grounding": "tabletop", "anticipation": "generated"}
    plain = {"data": {"train": [{"format": sources[task]}]}} if task in sources else {}
    plain["training"] = {"rate": 0.5, **({"backbone_rate": 1.0} if task == "keypoints" else {})}
    recipe = recipe_module(task).recipe_from(plain)
    now = json.loads(json.dumps(to_json(recipe.deciding())))
    before = json.loads(json.dumps(now))
    for name in ("wall_hours", "patience", "stop_collapsed"):
        del before["training"][name]
    assert before != now
    assert json.loads(json.dumps(to_json(by_defaults(type(recipe))(before)))) == now
    with pytest.raises(OptionError, match=r"recipe\.json: training\.colour is not an option"):
        by_defaults(type(recipe))({**now, "training": {**now["training"], "colour": 1}})


@dataclass(frozen=True, kw_only=True)
class Loss:
    name: str = "mse"
    newer: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    rate: float
    loss: Loss = field(default_factory=Loss)

    def deciding(self):
        return {"rate": self.rate, "loss": vars(self.loss)}


def test_new_options_have_their_defaults_and_everything_else_must_be_the_same(tmp_path):
    complete = by_defaults(Recipe)
    RunFolder(tmp_path, {"rate": 0.1, "loss": {"name": "mse"}, "pictures": "a"})
    RunFolder(tmp_path, {"rate": 0.1, "loss": vars(Loss()), "pictures": "a"}, complete=complete)
    with pytest.raises(OptionError, match=r"differ in loss\.newer \(0\.0 there, 0\.5 here\)\)"):
        RunFolder(tmp_path, {"rate": 0.1, "loss": vars(Loss(newer=0.5)), "pictures": "a"}, complete=complete)
    with pytest.raises(OptionError, match=r"differ in rate \(0\.1 there, 0\.2 here\), pictures \(a there, b here\)\)"):
        RunFolder(tmp_path, {"rate": 0.2, "loss": vars(Loss()), "pictures": "b"}, complete=complete)
    with pytest.raises(OptionError, match=r"differ in loss\.newer \(nothing there, 0\.0 here\)\)"):
        RunFolder(tmp_path, {"rate": 0.1, "loss": vars(Loss()), "pictures": "a"})


def test_an_option_that_is_no_more_is_named(tmp_path):
    RunFolder(tmp_path, {"rate": 0.1, "loss": {"name": "mse", "older": 1}})
    with pytest.raises(OptionError, match=r"another version of isotherm.*recipe\.json: loss\.older is not an option"):
        RunFolder(tmp_path, {"rate": 0.1, "loss": vars(Loss())}, complete=by_defaults(Recipe))
    for content in ("[]", "{"):
        (tmp_path / "recipe.json").write_text(content)
        with pytest.raises(OptionError, match=r"recipe\.json (holds no recipe|cannot be read)"):
            RunFolder(tmp_path, {"rate": 0.1}, complete=by_defaults(Recipe))


def test_a_message_names_a_few_options_and_shortens_values():
    before = {name: "x" * 100 for name in "abcde"}
    lines = differences(before, {})
    assert lines[0] == f"a ({'x' * 37}... there, nothing here)"
    assert len(lines) == 5
