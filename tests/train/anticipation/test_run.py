"""Runs of anticipation: killed and gone on with to the bit, probes of a grid that do not know of each other, and what is
refused before a run spends a day on it.
"""

from __future__ import annotations

import json

import pytest
import torch

from isotherm.errors import JobCancelled, OptionError
from isotherm.train.anticipation import run
from isotherm.train.anticipation.build import make_anticipation, open_anticipation
from isotherm.train.anticipation.run import METRICS, in_steps, recipe_from, train_run, usage_of, with_probe
from isotherm.train.recipe_module import RecipeModule
from isotherm.train.run_folder import read_figures
from rigs.anticipation import plain_anticipation


def weights(dpath):
    return open_anticipation(dpath / "model.safetensors").model.state_dict()


def same(first, second):
    return set(first) == set(second) and all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_run_that_was_killed_ends_in_the_same_bits(tmp_path):
    recipe = recipe_from(plain_anticipation(gaze={"dropout": 0.3, "condition": "shuffled"}))
    train_run(recipe, tmp_path / "whole", root=tmp_path)

    def killed(message):
        if "validation at step 2" in str(message):
            raise JobCancelled("killed")

    with pytest.raises(JobCancelled):
        train_run(recipe, tmp_path / "parts", root=tmp_path, say=killed)
    trained = train_run(recipe, tmp_path / "parts", root=tmp_path)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    figures = [read_figures(tmp_path / name / "metrics.csv") for name in ("whole", "parts")]
    assert figures[0] == figures[1]
    evaluation = json.loads((tmp_path / "whole" / "evaluation.json").read_text())
    assert set(METRICS) <= set(evaluation)
    assert set(evaluation) & {"gaze_part", "video_part"}
    # the best model is the one of the best validation, and it is what the run gives
    best = max(row["validation action_recall"] for row in figures[0] if "validation action_recall" in row)
    assert evaluation["action_recall"] == pytest.approx(best)
    assert trained.classes["verb"][0] == "take"


def test_probes_of_a_grid_are_trained_as_if_alone(tmp_path):
    """On frozen features; what is shared and trained is trained by all of them."""
    grid = [{"rate": 1e-3, "decay": 0.0}, {"rate": 1e-2, "decay": 0.1}]
    plain = plain_anticipation(probes=grid, loss="cross_entropy")
    plain["model"] |= {"encoder": "frozen", "fusion": None}
    plain["data"]["validation"] = []
    recipe = recipe_from(plain)
    train_run(recipe, tmp_path / "grid", root=tmp_path)
    checkpoint = torch.load(tmp_path / "grid" / "checkpoint.pt", weights_only=True)["model"]
    for i, one in enumerate(grid):
        alone = plain_anticipation(rate=one["rate"], decay=one["decay"], loss="cross_entropy")
        alone["model"], alone["data"] = plain["model"], plain["data"]
        train_run(recipe_from(alone), tmp_path / f"alone{i}", root=tmp_path)
        kept = torch.load(tmp_path / f"alone{i}" / "checkpoint.pt", weights_only=True)["model"]
        moved = 0
        for name, value in kept.items():
            other = checkpoint[name.replace("probes.probes.0.", f"probes.probes.{i}.")]
            torch.testing.assert_close(value, other, atol=2e-6, rtol=1e-5)
            moved += 1
        assert moved > 10


def test_the_best_probe_alone_is_kept(tmp_path):
    grid = [{"rate": 1e-6, "decay": 0.0}, {"rate": 1e-2, "decay": 0.0}]
    trained = train_run(recipe_from(plain_anticipation(probes=grid)), tmp_path / "run", root=tmp_path)
    assert len(trained.model.probes) == 1
    rows = [row for row in read_figures(tmp_path / "run" / "metrics.csv") if "validation probe" in row]
    best = max(rows, key=lambda row: row["validation action_recall"])
    assert trained.facts["rate"] == grid[int(best["validation probe"])]["rate"]


def test_a_probe_is_taken_without_touching_the_model():
    recipe = recipe_from(plain_anticipation())
    words = {"verb": ("a", "b"), "noun": ("a",), "action": ("a a", "b a")}
    model = make_anticipation(recipe.model, words, rate_hz=8.0, probes=3)
    one = with_probe(model, 2)
    assert len(model.probes) == 3
    assert len(one.probes) == 1
    assert one.probes[0] is model.probes[2]


def test_a_part_that_would_never_learn_stops_the_run(tmp_path, monkeypatch):
    """The published recipe has its new embedding behind a wrapper without gradients."""
    plain = plain_anticipation()
    real = run.AnticipationTask.losses

    def without(self, forward, *arguments, **options):
        fusion, self.net.fusion = self.net.fusion, None
        try:
            return real(self, forward, *arguments, **options)
        finally:
            self.net.fusion = fusion

    monkeypatch.setattr(run.AnticipationTask, "losses", without)
    with pytest.raises(OptionError, match=r"fusion\.gate\.weight"):
        train_run(recipe_from(plain), tmp_path / "run", root=tmp_path)
    assert not (tmp_path / "run").exists()


def test_epochs_are_steps_of_the_clips_that_there_are():
    recipe = recipe_from(plain_anticipation(epochs=2.5))
    assert in_steps(recipe.training, 24).steps == 8
    assert recipe.training.epochs == 2.5


def test_the_module_is_one_that_a_sweep_can_train(tmp_path):
    assert isinstance(run, RecipeModule)
    assert "isotherm explain" in usage_of(tmp_path)
    plain = plain_anticipation()
    plain["data"]["validation"] = []
    with pytest.raises(OptionError, match="nothing validates"):
        recipe_from(plain, where="a.yaml", judged=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"train": []}}, "no source to train on"),
        ({"data": {"train": [{"file": "a.csv"}]}}, "videos of a.csv"),
        ({"data": {"train": [{"file": "a.csv", "format": "generated"}]}}, "one of the two"),
        ({"model": {"backbone": "random"}}, "made of settings"),
        ({"model": {"fusion": "glue"}}, "expected one of none, patch_add"),
        ({"training": {"gaze": {"condition": "white"}}}, "training.gaze.condition"),
        ({"training": {"probes": [{"rate": 0, "decay": 0}]}}, "above 0"),
        ({"training": {"clip": 1.0, "probes": [{"rate": 1, "decay": 0}] * 2}}, "each would depend"),
        ({"recall_k": 0}, "at least 1"),
        ({"recal_k": 1}, "did you mean 'recall_k'"),
    ],
)
def test_what_does_not_go_together_is_refused(change, words):
    plain = plain_anticipation()
    for name, value in change.items():
        plain[name] = value if not isinstance(value, dict) or name == "model" else plain.get(name, {}) | value
    with pytest.raises(OptionError, match=words):
        recipe_from(plain)
