"""The anticipation model that ships: small, the one that its facts are about, and lost without the right gaze."""

from __future__ import annotations

import hashlib
import json

import pytest

from isotherm.data.egocentric.bounds import bounds
from isotherm.train.anticipation.build import open_anticipation
from isotherm.train.anticipation.gaze_use import GazeUse
from isotherm.train.anticipation.generated import GeneratedClips
from isotherm.train.anticipation.source import ClipSource
from isotherm.train.run_folder import deciding
from isotherm.zoo.assets import asset
from isotherm.zoo.tiny_anticipation.recipe import figures_of, recipe_from
from isotherm.zoo.tiny_anticipation.view import SHIPPED


@pytest.fixture(scope="module")
def facts():
    return json.loads(asset(SHIPPED).with_suffix(".json").read_text())


def test_it_is_small_and_the_one_that_its_facts_are_about(facts):
    fpath = asset(SHIPPED)
    assert fpath.stat().st_size < 2_000_000
    assert hashlib.sha256(fpath.read_bytes()).hexdigest() == facts["sha256"]
    assert sum(f.stat().st_size for f in fpath.parent.iterdir()) < 12_000_000


def test_its_recipe_is_the_default_one(facts):
    ours = recipe_from({"training": {"seed": facts["training"]["seed"]}})
    assert deciding(json.loads(json.dumps(ours.deciding()))) == {name: facts[name] for name in ours.deciding()}


def test_it_needs_the_persons_own_gaze(facts):
    """On 200 held-out clips, a tenth of those that its facts are about."""
    model = open_anticipation(asset(SHIPPED)).model
    data = GeneratedClips([ClipSource(format="generated", split="held_out", count=200)])
    real = figures_of(model, data)
    assert min(real["gaze"], real["out_of_frame"], real["video"]) > 0.9
    assert real["score"] == pytest.approx(facts["results"]["held_out"]["score"], abs=0.03)
    for condition in ("shuffled", "shifted"):
        other = figures_of(model, data, GazeUse(condition=condition))
        assert max(other["gaze"], other["out_of_frame"]) < 0.15
        assert other["video"] > 0.9
    blind = figures_of(model, data, GazeUse(condition="missing"))["gaze"]
    assert blind < bounds()["gaze"]["video alone"].action + 0.12  # two standard deviations of a hundred clips
