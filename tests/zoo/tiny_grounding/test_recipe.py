"""The recipe of tiny-grounding: what it judges by, and a file that opens as any trained grounding model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.train.grounding.build import open_grounding
from isotherm.train.grounding.predict import predict_grounding
from isotherm.zoo.tiny_grounding.recipe import (
    METRICS,
    TinyGroundingRecipe,
    figures_of,
    in_short,
    maps_of_tables,
    recipe_from,
)
from isotherm.zoo.tiny_grounding.training import TinyGroundingTraining

RECIPE = TinyGroundingRecipe(
    validated=3, held_out=2, training=TinyGroundingTraining(tables=1, steps=2, batch=2, views=("top", "operator"))
)


@pytest.fixture(scope="module")
def model():
    return RECIPE.task().model.eval()


def test_figures_are_of_every_view_and_the_short_ones_of_the_first(model):
    by_view = figures_of(model, RECIPE.validation)
    assert list(by_view) == ["top", "operator"]
    short = in_short(by_view)
    assert list(short) == list(METRICS)
    assert short["pick"] == by_view["top"]["pick"]
    assert short["error_px"] == pytest.approx((by_view["top"]["error_px"] + by_view["operator"]["error_px"]) / 2)


def test_maps_are_taken_evenly_from_all_views(model):
    data = RECIPE.validation
    every = maps_of_tables(model, data)
    assert len(every.logits) == 2 * len(data)
    some = maps_of_tables(model, data, most=len(data))
    assert len(some.logits) <= len(data) + 1
    assert torch.equal(some.points[0], every.points[0])
    assert torch.equal(some.points[-1], data.xy[some.record[-1], 1, None])


def test_what_is_saved_opens_as_any_grounding_model(model, tmp_path):
    RECIPE.save(model, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_size < 700_000
    trained, _ = open_grounding(tmp_path / "model.safetensors")
    assert trained.choice == RECIPE.choice
    assert trained.calibration.temperature != 1
    picture = RECIPE.validation.pictures[0, 0]
    (answers,) = predict_grounding(trained, [[np.kron(picture, np.ones((2, 2, 1), np.uint8))]], ["pick the red block"])
    assert answers[0].heatmap.frame.size == (64, 64)  # of a picture twice as large
    facts = RECIPE.measured(tmp_path / "model.safetensors")
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())
    assert set(facts["results"]) == {"held_out", "by_view"}


def test_a_recipe_of_plain_data():
    assert recipe_from({"training": {"steps": 7}}).training.steps == 7
