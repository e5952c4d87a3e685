"""The grounding model that ships: small, the one that its facts are about, and good on tables that it never saw."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from isotherm.data.tabletop.table import HELD_OUT
from isotherm.train.grounding.build import SHIPPED, open_grounding
from isotherm.train.run_folder import deciding
from isotherm.zoo.assets import asset
from isotherm.zoo.tiny_grounding.recipe import recipe_from
from isotherm.zoo.tiny_grounding.tables import draw_tables
from isotherm.zoo.tiny_grounding.training import errors_px, predict_tables, shares


@pytest.fixture(scope="module")
def facts():
    return json.loads(asset(SHIPPED).with_suffix(".json").read_text())


def test_it_is_small_and_the_one_that_its_facts_are_about(facts):
    fpath = asset(SHIPPED)
    assert fpath.stat().st_size < 700_000
    assert hashlib.sha256(fpath.read_bytes()).hexdigest() == facts["sha256"]
    assert sum(f.stat().st_size for f in fpath.parent.iterdir()) < 12_000_000


def test_its_recipe_is_the_default_one(facts):
    ours = recipe_from({"training": {"seed": facts["training"]["seed"]}})
    assert deciding(json.loads(json.dumps(ours.deciding()))) == {name: facts[name] for name in ours.deciding()}


def test_it_finds_blocks_that_instructions_mean(facts):
    """On tables seen from above; a fifth of those that its facts are about."""
    trained, line = open_grounding(None)
    assert "ships with isotherm" in line
    data = draw_tables(HELD_OUT[:40], ("top",))
    reached = shares(errors_px(predict_tables(trained.model, data, torch.arange(len(data))), data.xy[:, 0]), data.kind)
    for kind, share in reached.items():
        if kind in ("pick", "relation", "place"):
            assert share == pytest.approx(facts["results"]["held_out"][kind], abs=0.08)
    assert reached["pick"] > 0.9
    assert reached["relation"] > 0.75
    assert trained.calibration.abstention is not None
