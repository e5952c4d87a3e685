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
from rigs.grounding import plain_recipe, tiny_folder


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
