"""What every fusion must do: change nothing to the bit at first, learn from the first step, and then depend on gaze."""

from __future__ import annotations

import json
from functools import cache

import pytest
import torch

from isotherm.errors import OptionError
from isotherm.gaze.fusion import FUSIONS, VARIANTS, fusion_from, fusion_settings
from isotherm.gaze.gate import Gate, opened_gates
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.model import AnticipationModel
from isotherm.gaze.trainable import check_gradients
from rigs.anticipation_models import SIDE, clips_of, loss_of, random_gaze, tiny_model
from rigs.breadth import wide

OPTIONS = [dict(name=name, at=at) for name in FUSIONS for at in ("features", "embeddings")]
MORE = [
    *(dict(name=name) for name in VARIANTS),
    dict(name="patch_add", scales=[1, 8]),
    *(dict(name=name, states="zeros") for name in FUSIONS),
    *(
        dict(name=name, learned_sigma=True)
        for name, config in FUSIONS.items()
        if config.name not in ("points", "cross_attention")
    ),
    dict(name="interleave", heatmap_patch_size=16, scales=[1, 2]),
    dict(name="interleave", per="frame", pooled=True),
]
FIRST = [
    *(dict(name=name, at="features") for name in FUSIONS),
    dict(name="patch_add", at="embeddings"),
    dict(name="region_add"),
    dict(name="learned_sigma"),
    dict(name="patch_add", states="zeros"),
    dict(name="interleave", per="frame", pooled=True),
]
"""Every fusion, and every option that has code of its own, once; the others are their combinations."""
OTHERS = [settings for settings in (*OPTIONS, *MORE) if settings not in FIRST]
EVERY = pytest.mark.parametrize("settings", [*FIRST, *wide(OTHERS)], ids=lambda s: "-".join(map(str, s.values())))


@cache
def plain_logits() -> dict[str, torch.Tensor]:
    """Of the model without gaze."""
    return tiny_model()(clips_of())


@cache
def _model_of(settings: str) -> AnticipationModel:
    return tiny_model(fusion_from(json.loads(settings)))


def model_of(settings: dict[str, object]) -> AnticipationModel:
    """One for all tests of these settings that only read it."""
    return _model_of(json.dumps(settings))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@EVERY
def test_step_0_is_the_model_without_gaze_to_the_bit(settings):
    model, plain = model_of(settings), plain_logits()
    video, gaze = clips_of(), random_gaze()
    assert same(model(video, gaze), plain)
    with torch.no_grad():
        assert same(model(video, None), plain)
        if model.takes_features:
            assert same(model(model.encode(video), gaze), plain)
        with opened_gates(model):
            opened = model(video, gaze)
    assert not any(torch.allclose(opened[name], plain[name], rtol=1e-4) for name in opened)


@EVERY
def test_closed_gates_learn_from_the_first_step(settings):
    model = tiny_model(fusion_from(settings))
    loss_of(model(clips_of(), random_gaze())).backward()
    gates = [m for m in model.fusion.modules() if isinstance(m, Gate)]
    assert gates
    assert all(gate.closed and (gate.weight.grad != 0).all() for gate in gates)


@EVERY
def test_every_parameter_behind_an_open_gate_is_trained(settings):
    model = tiny_model(fusion_from(settings), encoder="full", predictor="full")
    check_gradients(model, lambda: loss_of(model(clips_of(), random_gaze())))


@EVERY
def test_an_open_fusion_reads_places_states_and_their_order(settings):
    model = model_of(settings)
    video, gaze = clips_of(), random_gaze()
    with opened_gates(model, 0.5), torch.no_grad():
        seen = model(video, gaze)["action"]
        others = {
            "another clip's": gaze.shuffled([1, 0]),
            "shifted": gaze.shifted(4),
            "centred": gaze.centred(),
            "missing": GazeInputs.missing(2, 8, (SIDE, SIDE)),
        }
        for name, other in others.items():
            assert not torch.allclose(model(video, other)["action"], seen, rtol=1e-4, atol=1e-7), name


@EVERY
def test_missing_and_out_of_frame_are_two_things_for_tokens_and_one_for_zeros(settings):
    model = model_of(settings)
    video, missing = clips_of(), GazeInputs.missing(2, 8, (SIDE, SIDE))
    outside = GazeInputs(missing.xy, missing.state + 1, missing.confidence, missing.time_s, missing.size)
    with opened_gates(model, 0.5), torch.no_grad():
        alike = same(model(video, missing), model(video, outside))
    assert alike == (settings.get("states") == "zeros")


@EVERY
def test_maps_serve_as_well_as_places(settings):
    config = fusion_from(settings)
    model, gaze = model_of(settings), random_gaze()
    maps = torch.rand(2, 8, 13, 16, generator=torch.Generator().manual_seed(0))
    given = GazeInputs.of_maps(maps, state=gaze.state, time_s=gaze.time_s, size=gaze.size)
    if config.learned_sigma:
        with pytest.raises(OptionError, match="width cannot be learned"):
            model(clips_of(), given)
        return
    with opened_gates(model, 0.5), torch.no_grad():
        assert all(torch.isfinite(values).all() for values in model(clips_of(), given).values())


@EVERY
def test_settings_are_plain_data_and_come_back(settings):
    config = fusion_from(settings)
    again = fusion_from(json.loads(json.dumps(fusion_settings(config))))
    assert again == config


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("patch_ad", "the fusion is 'patch_ad'; expected one of none, patch_add"),
        ({"name": "patch_add", "scale": 3}, "no option scale; it has at, cells"),
        ({"name": "patch_add", "at": "probe"}, "at is 'probe'; expected one of embeddings, features"),
        ({"name": "patch_add", "sigma": 0}, "sigma is 0"),
    ],
)
def test_what_there_is_not_is_named(settings, words):
    with pytest.raises(OptionError, match=words):
        fusion_from(settings)
    assert fusion_from(None) is None is fusion_from("none")
