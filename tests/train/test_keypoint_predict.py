"""Prediction: the same places from files and from the cache, through boxes, and nothing from nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.errors import OptionError
from isotherm.train.keypoint_build import ModelChoice, TrainedKeypoints, make_model
from isotherm.train.keypoint_predict import predict_cached, predict_pictures
from isotherm.train.keypoints import recipe_of, train_keypoints
from isotherm.train.run_folder import RunFolder
from rigs.dots import CONFIG, dots

CHOICE = ModelChoice(widths=(16, 32), depth=1, head_options={"widths": (16,), "groups": 8})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, kind = tmp_path_factory.mktemp("run"), dots(120)
    config = replace(CONFIG, steps=140)
    model = train_keypoints(
        config,
        make_model(CHOICE, 2, size=config.size),
        cache_keypoints(kind, folder / "cache", side=40),
        kind,
        RunFolder(folder / "run", recipe_of(config)),
    )
    return TrainedKeypoints(model=model, choice=CHOICE, objective=config.objective, size=config.size, names=kind.names)


def test_pictures_and_cache_give_the_same_places(trained, tmp_path):
    held_out = dots(12, seed=1)
    cached = predict_cached(
        trained.model, trained.objective, cache_keypoints(held_out, tmp_path, side=32), size=(32, 32), batch=5
    )
    direct = predict_pictures(trained, [r.picture for r in held_out], batch=7)
    torch.testing.assert_close(direct.xy, cached.xy, atol=1e-3, rtol=0)
    truth = torch.stack([r.points for r in held_out])
    known = ~truth.isnan().any(-1)
    assert (direct.xy - truth)[known].norm(dim=-1).mean() < 1.0
    assert direct.covariance.shape == (12, 2, 2, 2)
    # from another size of the cache: the same places but for resampling
    larger = predict_cached(
        trained.model, trained.objective, cache_keypoints(held_out, tmp_path, side=40), size=(32, 32)
    )
    assert (larger.xy - cached.xy).norm(dim=-1).median() < 0.3


def test_a_box_leads_to_the_object(trained):
    held_out = dots(6, seed=2)
    pictures = [r.picture for r in held_out]
    wide = [np.pad(p, ((100, 60), (30, 200), (0, 0)), constant_values=40) for p in pictures]
    found = predict_pictures(trained, wide, [(30.0, 100.0, 70.0, 140.0)] * 6)
    expected = predict_pictures(trained, pictures)
    torch.testing.assert_close(found.xy - torch.tensor([30.0, 100.0]), expected.xy, atol=0.05, rtol=0)


def test_nothing_and_nonsense(trained):
    assert predict_pictures(trained, []).xy.shape == (0, 2, 2)
    with pytest.raises(OptionError, match="1 boxes for 0 pictures"):
        predict_pictures(trained, [], [None])
