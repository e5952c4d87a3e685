"""Clips and gaze to logits: heads, several probes, features that are kept, and how much is trained."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from isotherm.errors import OptionError, ShapeError
from isotherm.gaze.fusion import fusion_from
from isotherm.gaze.gate import opened_gates
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.model import AnticipationModel
from isotherm.gaze.objective import anticipation_loss
from isotherm.gaze.probe import ProbeConfig
from isotherm.gaze.trainable import expect_gradients
from isotherm.models.transformers.vjepa2.build import make_vjepa2
from rigs.anticipation_models import CLASSES, TINY, clips_of, loss_of, random_gaze, tiny_config, tiny_model

PATCH_ADD = fusion_from("patch_add")
LABELS = {name: torch.tensor([0, k - 1]) for name, k in CLASSES.items()}


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        ({}, 64 + 16),
        ({"predictor": "none"}, 64),
        ({"reads_features": False}, 16),
        ({"output_frames": 4}, 64 + 32),
        ({"steps": 3}, 64 + 48),
    ],
)
def test_the_probe_reads_features_and_futures(options, tokens):
    model = tiny_model(**options)
    features = model.encode(clips_of())
    assert model.context(features, None, 1.0).shape == (2, tokens, 48)
    assert {name: tuple(v.shape) for name, v in model(features).items()} == {n: (2, k) for n, k in CLASSES.items()}


def test_each_step_takes_the_last_prediction_for_seen():
    model = tiny_model(steps=2)
    features = model.encode(clips_of())
    context = model.context(features, None, 1.0)
    predicted = model.backbone.predict(features, torch.ones(2), frames_per_second=8)
    later = torch.cat([features[:, 16:], predicted], dim=1)
    torch.testing.assert_close(context[:, 64:80], predicted)
    torch.testing.assert_close(context[:, 80:], model.backbone.predict(later, torch.ones(2), frames_per_second=8))


def test_kept_features_give_the_same_as_the_video():
    model, video, gaze = tiny_model(PATCH_ADD), clips_of(), random_gaze()
    assert model.takes_features
    with opened_gates(model):
        kept, whole = model(model.encode(video), gaze), model(video, gaze)
    assert all(torch.equal(kept[name], whole[name]) for name in CLASSES)
    assert torch.equal(model.train().encode(video), model.eval().encode(video))


def test_features_are_refused_where_gaze_must_reach_the_encoder():
    model = tiny_model(fusion_from({"name": "patch_add", "at": "embeddings"}))
    assert not model.takes_features
    assert not tiny_model(encoder="full").takes_features
    with pytest.raises(OptionError, match="give the video, or use at='features'"):
        model(model.encode(clips_of()), random_gaze())


def test_the_probe_is_the_same_whatever_the_fusion_and_random_numbers_go_on():
    state = torch.random.get_rng_state()
    plain, fused = tiny_model(), tiny_model(PATCH_ADD, encoder="adapter")
    assert torch.equal(torch.random.get_rng_state(), state)
    for a, b in zip(plain.probes.parameters(), fused.probes.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(tiny_model(seed=1).probes[0].query.queries, plain.probes[0].query.queries)


def test_probes_beside_each_other_are_what_each_is_alone():
    """Equal at first; with rates of their own, each goes the way that it would have gone alone."""
    rates = (0.01, 0.1)
    together = tiny_model(probes=2)
    features = together.encode(clips_of()).detach()
    assert together(features)["verb"].shape == (2, 2, 3)
    groups = [{"params": together.probes[i].parameters(), "lr": rate} for i, rate in enumerate(rates)]
    train(together, torch.optim.SGD(groups), features)
    for i, rate in enumerate(rates):
        alone = tiny_model()
        train(alone, torch.optim.SGD(alone.probes.parameters(), lr=rate), features)
        torch.testing.assert_close(together(features)["action"][i], alone(features)["action"])
    assert not torch.allclose(*together(features)["action"], atol=1e-3)


def train(model: AnticipationModel, optimizer: torch.optim.Optimizer, features: torch.Tensor) -> None:
    for _ in range(3):
        optimizer.zero_grad()
        anticipation_loss(model(features), LABELS).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("mode", ["frozen", "adapter", "full"])
def test_how_much_is_trained(mode):
    plain, model = tiny_model(PATCH_ADD), tiny_model(PATCH_ADD, encoder=mode, predictor=mode)
    video, gaze = clips_of(), random_gaze()
    a, b = plain(video, gaze), model.train()(video, gaze)
    assert all(torch.equal(a[name], b[name]) for name in a)  # adapters begin closed too
    assert model.backbone.encoder.training == model.backbone.predictor.training == (mode != "frozen")
    loss_of(b).backward()
    expect_gradients(model)
    for part in (model.backbone.encoder, model.backbone.predictor):
        trained = {name for name, p in part.named_parameters() if p.requires_grad}
        if mode == "adapter":
            assert trained
            assert all(name.split(".")[3] in ("down", "up", "gate") for name in trained)
        else:
            assert len(trained) == (0 if mode == "frozen" else len(list(part.parameters())))


def test_a_tiny_model_learns_its_batch_through_the_real_classes():
    model = tiny_model(PATCH_ADD, encoder="full", predictor="full")
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    video, gaze = clips_of(), random_gaze()
    first = anticipation_loss(model(video, gaze), LABELS, loss="cross_entropy").item()
    for _ in range(15):
        optimizer.zero_grad()
        loss = anticipation_loss(model(video, gaze), LABELS, loss="cross_entropy")
        loss.backward()
        optimizer.step()
    assert loss.item() < first / 4
    assert all((values.argmax(-1) == LABELS[name]).all() for name, values in model(video, gaze).items())


def test_the_time_ahead_reaches_the_prediction():
    model = tiny_model()
    features = model.encode(clips_of())
    soon, late = model(features, ahead_s=0.5), model(features, ahead_s=torch.tensor([0.5, 3.0]))
    torch.testing.assert_close(soon["verb"][0], late["verb"][0])
    assert not torch.allclose(soon["verb"][1], late["verb"][1], atol=1e-6)


@pytest.mark.parametrize(
    ("gaze", "words"),
    [
        (random_gaze(3), "gaze for 3 clips of 8 frames"),
        (random_gaze(2, frames=6), "2 clips of 6 frames"),
        (GazeInputs.missing(2, 8, (64, 64)), "64 x 64 pixels; expected 2 clips of 8 frames of 32 x 32"),
    ],
)
def test_gaze_of_other_clips_is_refused(gaze, words):
    model = tiny_model(PATCH_ADD)
    for x in (clips_of(), model.encode(clips_of())):
        with pytest.raises(ShapeError, match=words):
            model(x, gaze)


def test_gaze_for_a_model_without_a_fusion_is_refused():
    with pytest.raises(OptionError, match="the model has no fusion"):
        tiny_model()(clips_of(), random_gaze())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"predictor": "none", "reads_features": False}, "read nothing"),
        ({"steps": 0}, "steps 0"),
        ({"encoder": "half"}, "training mode is 'half'"),
        ({"encoder": "adapter", "bottleneck": 0}, "bottleneck is 0"),
        ({"classes": {}}, "at least one head"),
        ({"probe": ProbeConfig(heads=5)}, "heads is 5, which does not divide the 48 channels"),
        ({"fusion": fusion_from("attention_bias"), "predictor": "none"}, "there are none; use at='embeddings'"),
    ],
)
def test_what_cannot_be_is_refused(options, words, unchecked):
    with pytest.raises(OptionError, match=words):
        AnticipationModel(make_vjepa2(TINY, seed=0), tiny_config(**options))


def test_the_loss_is_that_of_the_heads_summed():
    logits = {name: torch.randn(2, k, generator=torch.Generator().manual_seed(k)) for name, k in CLASSES.items()}
    labels = LABELS | {"action": torch.tensor([5, -1])}
    expected = F.cross_entropy(logits["verb"], labels["verb"]) + F.cross_entropy(logits["noun"], labels["noun"])
    expected = expected + F.cross_entropy(logits["action"][:1], labels["action"][:1])
    torch.testing.assert_close(anticipation_loss(logits, labels, loss="cross_entropy"), expected)
    several = {name: torch.stack([values, values * 0]) for name, values in logits.items()}
    for loss in ("focal", "cross_entropy"):
        of_probes = anticipation_loss(several, labels, loss=loss)
        torch.testing.assert_close(of_probes[0], anticipation_loss(logits, labels, loss=loss))
        assert of_probes.shape == (2,)
    with pytest.raises(OptionError, match="expected verb, noun, action"):
        anticipation_loss(logits, {"verb": labels["verb"]})
