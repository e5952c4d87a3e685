"""Features of a frozen encoder in place of videos: the same numbers, computed once, and refused where clips change."""

from __future__ import annotations

import json

import pytest
import torch

from isotherm.data.anticipation.classes import Classes
from isotherm.train.anticipation import features, run
from isotherm.train.anticipation.build import encoder_input, make_anticipation, open_anticipation
from isotherm.train.anticipation.features import FeatureClips, with_features
from isotherm.train.anticipation.gaze_use import GazeUse
from isotherm.train.anticipation.read import read_clips
from isotherm.train.anticipation.run import recipe_from, train_run
from isotherm.train.anticipation.validate import answers_of
from isotherm.train.anticipation.videos import VideoClips
from rigs.action_videos import plain_videos, write_actions, write_videos
from rigs.anticipation import plain_anticipation


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    write_videos(folder, ("P01_01",))
    write_actions(folder, ("P01_01",))
    return folder


def recipe(folder, *, fusion=None, **data):
    plain = plain_anticipation(steps=3)
    held = [{"file": "train.csv", "videos": ".", "gaze": "gaze"}]
    fixed = {"training_anticipation_s": [0.2, 0.2], "features": "float32", "validation": held}
    plain["data"] = plain_videos(folder, **(fixed | data))
    plain["model"] |= {
        "encoder": "frozen",
        "predictor": "frozen",
        "fusion": fusion or {"name": "region", "at": "features"},
    }
    return recipe_from(plain)


def test_the_same_numbers_with_and_without(folder, tmp_path):
    """Learned weights, figures, and what is answered."""
    ways = {}
    for kept in ("float32", None):
        train_run(
            recipe(folder, features=kept), tmp_path / str(kept) / "run", root=folder, cache_dpath=tmp_path / "cache"
        )
        state = torch.load(tmp_path / str(kept) / "run" / "checkpoint.pt", weights_only=True)["model"]
        ways[kept] = state, json.loads((tmp_path / str(kept) / "run" / "evaluation.json").read_text())
    assert len(ways[None][0]) > 10
    kept = open_anticipation(tmp_path / "None" / "run" / "model.safetensors").facts["classes"]
    assert Classes.from_json(json.dumps(kept)).actions == ((0, 8), (0, 20), (3, 8))
    for name, value in ways["float32"][0].items():
        torch.testing.assert_close(value, ways[None][0][name], atol=1e-5, rtol=1e-4)
    assert ways["float32"][1]["action_recall"] == ways[None][1]["action_recall"]


def test_nothing_is_computed_twice_and_gaze_stays_with_its_clip(folder, tmp_path, monkeypatch):
    config = recipe(folder)
    data, _ = read_clips(config.data, root=folder)
    model = make_anticipation(config.model, data.classes, rate_hz=data.rate_hz).eval()
    first = with_features(data, model, tmp_path, kept="float32")
    assert isinstance(first, FeatureClips)

    def never(*arguments, **options):
        raise AssertionError("a clip was decoded again")

    monkeypatch.setattr("isotherm.train.anticipation.videos.read_clip", never)
    again = with_features(data, model, tmp_path, kept="float32")
    monkeypatch.undo()
    index = torch.tensor([2, 0])
    cached, plain = again.batch(index), data.batch(index)
    torch.testing.assert_close(
        cached.features, model.encode(encoder_input(plain, torch.device("cpu"))), atol=1e-5, rtol=1e-5
    )
    assert torch.equal(cached.gaze.state, plain.gaze.state)
    torch.testing.assert_close(cached.gaze.xy, plain.gaze.xy)
    torch.testing.assert_close(cached.gaze.time_s, plain.gaze.time_s)
    assert torch.equal(cached.labels, plain.labels)
    answers = [answers_of(model, clips, GazeUse()).logits["action"] for clips in (again, data)]
    torch.testing.assert_close(answers[0], answers[1], atol=1e-5, rtol=1e-5)
    # times that were lost with a killed process are read anew
    (first.cache.dpath / features.TIMES).unlink()
    assert torch.equal(with_features(data, model, tmp_path, kept="float32").batch(index).gaze.state, plain.gaze.state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"augmentation": {}}, "augmentation changes"),
        ({"training_anticipation_s": [0.1, 0.5]}, "drawn anew in every epoch"),
        ({"features": None}, ""),
        ({"fusion": {"name": "patch_add", "at": "embeddings"}}, ""),
    ],
)
def test_clips_that_change_are_not_kept_which_is_said(folder, tmp_path, change, words):
    config, heard = recipe(folder, **change), []
    data, _ = read_clips(config.data, root=folder)
    model = make_anticipation(config.model, data.classes, rate_hz=data.rate_hz)
    assert with_features(data, model, tmp_path, kept=config.data.features, say=lambda m: heard.append(str(m))) is data
    assert any(words in line for line in heard) == bool(words)
    assert with_features(data, model, tmp_path, kept="float32", blind=True) is data


def test_clips_are_loaded_ahead_once_each(folder, tmp_path, monkeypatch):
    config = recipe(folder, training_anticipation_s=[0.1, 0.5])
    made, real = [], run.AnticipationTask

    def kept(*arguments):
        made.append(real(*arguments))
        return made[-1]

    asked = []
    monkeypatch.setattr(run, "AnticipationTask", kept)
    batch = VideoClips.batch
    monkeypatch.setattr(
        VideoClips,
        "batch",
        lambda self, index, epoch=None: (
            asked.append(None if epoch is None else len(index)) or batch(self, index, epoch)
        ),
    )
    train_run(config, tmp_path / "run", root=folder)
    (task,) = made
    assert [many for many in asked if many is not None] == [2, 8, 8, 8]  # the proof of gradients, and three steps
    assert task.waited_s > 0
    assert not task._coming
