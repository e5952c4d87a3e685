"""The next action explained: a map for every moment, with the gaze of a file, on the pixels that training has."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import isotherm
from isotherm.cam.clips import Clip
from isotherm.data.egocentric.clips import make_egocentric, make_many
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.errors import OptionError
from isotherm.gaze.clips import gaze_of_egocentric
from isotherm.train.anticipation.build import TrainedAnticipation, make_anticipation, normalised
from isotherm.train.anticipation.generated import CLASSES
from isotherm.zoo.tiny_anticipation.recipe import TinyAnticipationRecipe
from isotherm.zoo.tiny_anticipation.view import AnticipationView

RATE_HZ = 8.0


@pytest.fixture(scope="module")
def trained():
    """Random weights with an open gate, so that gaze says something."""
    choice = TinyAnticipationRecipe().choice
    model = make_anticipation(choice, CLASSES, rate_hz=RATE_HZ).eval()
    with torch.no_grad():
        model.fusion.gate.weight.fill_(0.5)
    return TrainedAnticipation(model, choice, CLASSES, RATE_HZ, 8)


@pytest.fixture(scope="module")
def clip():
    return Clip(make_egocentric(3).video.transpose(0, 2, 3, 1).copy(), tuple(i / RATE_HZ for i in range(9)))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    fpath = tmp_path_factory.mktemp("gaze") / "gaze.parquet"
    write_points(make_egocentric(3).recording(), fpath)
    return open_gaze_store(fpath)


def test_there_is_a_map_for_every_moment(trained, clip):
    view = AnticipationView(trained, name="a model")
    heatmap = isotherm.explain(view, clip, trust="off")[0]
    assert tuple(heatmap.values.shape) == (4, 4, 4)
    assert heatmap.moments.times_s == ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))


def test_pixels_and_gaze_are_those_of_the_training(trained, clip, store):
    view = AnticipationView(trained, gaze=store, name="a model")
    inputs = view.prepare([clip])
    made = make_many([3])
    torch.testing.assert_close(
        inputs.tensor, normalised(torch.from_numpy(made.video), torch.device("cpu")), atol=1e-6, rtol=0
    )
    told, known = view.gaze_of(inputs), gaze_of_egocentric(made)
    for name in ("xy", "state", "confidence", "time_s"):
        torch.testing.assert_close(getattr(told, name), getattr(known, name), atol=1e-5, rtol=0)
    with torch.no_grad():
        logits = view.run(inputs).logits
        expected = trained.model(inputs.tensor, known)["action"]
        other = AnticipationView(trained, name="a model").run(inputs).logits
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(logits, other, atol=1e-3)


def test_what_is_taken_for_granted_is_said(trained, store):
    said = {premise.about: premise for premise in AnticipationView(trained, name="a model").premises}
    assert (said["gaze"].value, said["gaze"].source) == ("gaze is not known", "assumed")
    assert (
        str(store.path) in [p.value.split()[-1] for p in AnticipationView(trained, gaze=store, name="m").premises][-1]
    )


def test_gaze_for_a_model_that_takes_none_is_refused(store):
    choice = replace(TinyAnticipationRecipe().choice, fusion=None)
    model = make_anticipation(choice, CLASSES, rate_hz=RATE_HZ)
    with pytest.raises(OptionError, match="takes no gaze"):
        AnticipationView(TrainedAnticipation(model, choice, CLASSES, RATE_HZ, 8), gaze=store, name="a model")


def test_gaze_needs_the_times_of_frames(trained, store, clip):
    view = AnticipationView(trained, gaze=store, name="a model")
    with pytest.raises(OptionError, match="fps"):
        view.run(view.prepare([Clip(clip.frames)]))
