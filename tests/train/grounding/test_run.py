"""A small language model and a head learn where the block of a colour is, and a run that was killed ends in the same bits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.errors import JobCancelled, OptionError
from isotherm.train.grounding import run
from isotherm.train.grounding.build import open_grounding
from isotherm.train.grounding.predict import predict_grounding
from isotherm.train.grounding.run import METRICS, recipe_from, train_run, usage_of
from isotherm.train.recipe_module import RecipeModule
from isotherm.train.run_folder import read_figures
from isotherm.train.tracking import Tracking
from rigs.grounding import plain_recipe, tiny_folder
from rigs.trackers import KeptTracker


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_folder(tmp_path_factory.mktemp("tiny"))


def weights(dpath: Path):
    trained, _ = open_grounding(dpath)
    return trained.model.state_dict()


def test_a_run_learns_is_killed_and_ends_in_the_same_bits(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "EXTREMES", 1)
    recipe = recipe_from(plain_recipe(folder))
    train_run(recipe, tmp_path / "whole", root=tmp_path)

    def killed(message):
        if "validation at step 3" in str(message):
            raise JobCancelled("killed")

    with pytest.raises(JobCancelled):
        train_run(recipe, tmp_path / "parts", root=tmp_path, say=killed)
    assert json.loads((tmp_path / "parts" / "run.json").read_text())["status"] != "finished"
    train_run(recipe, tmp_path / "parts", root=tmp_path)
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert set(first) == set(second)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    figures = [read_figures(tmp_path / name / "metrics.csv") for name in ("whole", "parts")]
    assert figures[0] == figures[1]
    assert figures[0][-2]["loss"] < figures[0][0]["loss"]
    evaluation = json.loads((tmp_path / "whole" / "evaluation.json").read_text())
    assert evaluation["maps"] == 12
    assert evaluation["abstention"]["bound"] <= 1
    assert len(list((tmp_path / "whole" / "pictures").glob("*.jpg"))) == 2
    # finished runs are left as they are
    assert train_run(recipe, tmp_path / "whole", root=tmp_path).calibration.temperature == evaluation["temperature"]


@pytest.fixture
def trackers(monkeypatch):
    """The trackers that are made in place of Weights & Biases."""
    made = []

    def tracker(self, dpath, recipe, *, job="train"):
        assert self.to == "wandb"
        made.append(KeptTracker(recipe, job))
        return made[-1]

    monkeypatch.setattr(Tracking, "tracker", tracker)
    return made


def test_a_tracker_is_told_every_figure_and_how_each_part_of_the_run_ended(folder, tmp_path, monkeypatch, trackers):
    monkeypatch.setattr(run, "EXTREMES", 1)
    plain = plain_recipe(folder) | {"tracking": {"to": "wandb", "project": "tables"}}
    plain["training"] |= {"steps": 4, "keep_every": 2}
    recipe = recipe_from(plain)

    def killed(message):
        if "validation at step 4" in str(message):
            raise JobCancelled("killed")

    with pytest.raises(JobCancelled):
        train_run(recipe, tmp_path / "run", root=tmp_path, say=killed)
    train_run(recipe, tmp_path / "run", root=tmp_path)
    first, second = trackers
    assert (first.ends, second.ends) == ([True], [False])
    assert first.recipe == second.recipe == recipe.deciding()
    assert first.recipe["training"]["steps"] == 4
    assert {1, 2, 3} <= {row["step"] for row in first.rows}
    # it goes on from what was kept at step 2, and is told what the run's own file has
    kept = [row for row in read_figures(tmp_path / "run" / "metrics.csv") if row["step"] > 2]
    assert {"loss", "validation err_px"} <= {key for row in kept for key in row}
    assert len(second.rows) == len(kept)
    for told, row in zip(second.rows, kept, strict=True):
        assert {key: told[key] for key in row} == pytest.approx(row, rel=1e-5)
    assert [(name, step) for name, _, step in second.pictures] == [("best-1", 4), ("worst-1", 4)]
    for name, rgb, _ in second.pictures:
        with Image.open(tmp_path / "run" / "pictures" / f"{name}.jpg") as file:
            assert np.array_equal(rgb, np.asarray(file.convert("RGB")))
    assert first.pictures == []


def test_tensorboard_gets_what_a_run_logs(folder, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    plain = plain_recipe(folder) | {"tracking": {"to": "tensorboard"}}
    plain["training"]["steps"] = 2
    plain["data"] |= {"validation": [], "hold_out": 0.0}
    train_run(recipe_from(plain), tmp_path / "run", root=tmp_path)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    kept = [row["loss"] for row in read_figures(tmp_path / "run" / "metrics.csv") if "loss" in row]
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [
        (i + 1, pytest.approx(v)) for i, v in enumerate(kept)
    ]


def test_low_rank_matrices_are_trained_beside_weights_that_stay(folder, tmp_path):
    plain = plain_recipe(folder)
    plain["model"] |= {"frozen": False, "lora": {"rank": 2, "layers": ["q_proj"]}, "checkpointing": True}
    plain["training"]["steps"] = 2
    plain["data"] |= {"validation": [], "hold_out": 0.0}
    recipe = recipe_from(plain)
    train_run(recipe, tmp_path / "run", root=tmp_path)
    trained, line = open_grounding(tmp_path / "run")
    kept = {name for name, p in trained.model.named_parameters() if p.requires_grad}
    assert any("lora_B" in name for name in kept)
    assert not any("base_layer" in name for name in kept)
    lora = [p for name, p in trained.model.named_parameters() if "lora_B" in name]
    assert any(bool((p != 0).any()) for p in lora)
    assert "the last one" in line
    size = (tmp_path / "run" / "model.safetensors").stat().st_size
    whole = sum(p.numel() for p in trained.model.parameters()) * 4
    assert size < whole / 3


def test_several_views_in_one_prompt_steps_and_grasps_are_trained(tmp_path):
    """From lines of a file, on a causal model, whose second view is not always known."""
    folder = tiny_folder(tmp_path / "tiny", "qwen3_vl")
    lines = []
    for i in range(4):
        for name in ("a", "b"):
            array = np.random.default_rng(i).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(array).save(tmp_path / f"{name}{i}.png")
        pick = {"annotation": ["[0.2, 0.3]", None], "angle_deg": 30, "width_px": 6}
        steps = [pick, {"annotation": ["[0.5, 0.5]", "[[0.1, 0.2], [0.9, 0.8]]"], "flag": "grasp_point"}]
        line = {"pictures": [f"a{i}.png", f"b{i}.png"], "text": "red left ?"[: 3 + i], "flag": "single_point"}
        lines.append(json.dumps(line | {"steps": steps, "views": ["front", "top"]}))
    (tmp_path / "points.jsonl").write_text("\n".join(lines))
    plain = plain_recipe(folder)
    plain["data"] = {"train": [{"file": "points.jsonl"}], "hold_out": 0.0}
    plain["model"] |= {"views": "together", "conditioning": "text_query", "side": 32}
    plain["training"]["steps"] = 2
    trained = train_run(recipe_from(plain), tmp_path / "run", root=tmp_path)
    assert trained.view_names == ("front", "top")
    assert (trained.views, trained.outputs.steps, trained.outputs.grasp) == (2, 2, True)
    again, _ = open_grounding(tmp_path / "run")
    pictures = [[np.zeros((40, 20, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)]]
    (answers,) = predict_grounding(again, pictures, ["red"])
    assert [(a.view, a.step) for a in answers] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(a.grasp is not None for a in answers)


def test_the_module_is_one_of_recipes():
    assert isinstance(run, RecipeModule)
    assert METRICS["err_px"] == "less"
    assert "predict grounding" in usage_of(Path("runs/a"))


def test_a_recipe_that_nothing_validates_is_refused_where_trials_are_compared(folder):
    plain = plain_recipe(folder)
    plain["data"] |= {"validation": [], "hold_out": 0.0}
    with pytest.raises(OptionError, match="nothing validates"):
        recipe_from(plain, where="a.yaml", judged=True)
    assert recipe_from(plain).data.hold_out == 0
