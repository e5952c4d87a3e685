"""The shipped scene classifier: it is right about scenes, and what speaks for a class is the object's own pixels."""

from __future__ import annotations

import hashlib
import json
from functools import partial

import numpy as np
import pytest
import torch

from isotherm.cam.capture import record
from isotherm.cam.methods import gradcam, hirescam
from isotherm.cam.view import View
from isotherm.data.scenes import HELD_OUT, SceneConfig, held_out_scenes, scenes
from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.models.choose import open_view
from isotherm.ops.resample import to_source
from isotherm.relevance.modules import resolve
from isotherm.zoo.assets import asset
from isotherm.zoo.scenes.network import SceneNetConfig, load_scene_net, random_scene_net, save_scene_net
from isotherm.zoo.scenes.view import SEEDS, load, load_scenes, wrap
from rigs.breadth import wide
from rigs.view_checks import assert_block_moves_its_cell, assert_state_unchanged, state_of


@pytest.fixture(scope="module")
def view():
    return load_scenes()


@pytest.fixture(scope="module")
def unseen():
    return list(held_out_scenes(100))


@pytest.fixture(scope="module")
def pairs(unseen):
    """Held-out scenes with at least two objects."""
    return [s for s in unseen[:40] if len(s) >= 2]


def own_and_other_energy(view, pairs, method, layer=None):
    """Per scene and object: positive energy in its own mask, in the others' masks, and the mask's share of the picture."""
    inputs = view.prepare([s.picture for s in pairs])
    layers = resolve(view.model, layer or view.auto_layers().layers)
    recording = record(view.model, partial(view.run, inputs), layers)
    logits = view.find(recording.raw, inputs).logits
    picture = torch.tensor([i for i, s in enumerate(pairs) for _ in s.labels])
    labels = torch.tensor([k for s in pairs for k in s.labels.tolist()])
    (gradient,) = recording.gradients(logits[picture, labels], picture)
    activation = recording.calls[0].output.detach()[picture]
    frame = view.layout(layers[0].name, recording.calls[0].output, inputs).frame(inputs, tuple(activation.shape[-2:]))[
        picture
    ]
    maps = to_source(method.map(activation, gradient), frame).clamp(min=0)
    maps = maps / maps.sum((1, 2), keepdim=True).clamp(min=1e-12)
    own = torch.from_numpy(np.concatenate([s.masks for s in pairs]))
    union = torch.from_numpy(np.stack([s.masks.any(0) for s in pairs]))[picture]
    return (maps * own).sum((1, 2)), (maps * (union & ~own)).sum((1, 2)), own.float().mean((1, 2))


@pytest.mark.parametrize(
    ("seed", "method"),
    [
        (SEEDS[0], hirescam),
        (SEEDS[0], gradcam),
        *wide((seed, hirescam) for seed in SEEDS[1:]),
    ],  # both agree here, as the next test but one has it
    ids=lambda v: getattr(v, "name", v),
)
def test_evidence_is_the_objects_own(pairs, method, seed):
    own, other, chance = own_and_other_energy(load_scenes(seed), pairs, method)
    assert own.mean() > 5 * other.mean()
    assert own.mean() > 4 * chance.mean()
    assert (own > other).float().mean() > 0.9


def test_evidence_falls_to_chance_with_random_weights(view, pairs):
    """Random networks see that there is something, but not what: per pixel an object's map holds no more of it than of the others."""

    def preference(view):
        own, other, area = own_and_other_energy(view, pairs, hirescam)
        others = torch.tensor([s.masks.sum() for s in pairs for _ in s.labels]) / (128 * 128) - area
        return float((own.sum() / area.sum()) / (other.sum() / others.sum()))

    lost = [preference(wrap(random_scene_net(view.model.config, seed))) for seed in range(5)]
    assert np.mean(lost) == pytest.approx(1, abs=0.25)
    assert max(lost) < 1.8
    assert preference(view) > 10


def test_the_maps_of_the_last_stage_add_up_to_the_logit(view, pairs):
    """Behind the last stage all is linear: cells sum to the logit less the bias, and both methods agree."""
    inputs = view.prepare([s.picture for s in pairs[:4]])
    recording = record(view.model, partial(view.run, inputs), resolve(view.model, view.auto_layers().layers))
    logits = view.find(recording.raw, inputs).logits
    rows = torch.arange(4)
    label = torch.tensor([s.labels[0] for s in pairs[:4]])
    (gradient,) = recording.gradients(logits[rows, label], rows)
    activation = recording.calls[0].output.detach()
    maps = hirescam.map(activation, gradient)
    torch.testing.assert_close(
        maps.sum((1, 2)), (logits[rows, label] - view.model.head.bias[label]).detach(), atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(maps, gradcam.map(activation, gradient), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_recipe_beside_the_weights_is_of_these_weights_and_they_are_good(seed, unseen):
    recipe = json.loads(asset(f"scenes-{seed}.json").read_text())
    assert recipe["sha256"] == hashlib.sha256(asset(f"scenes-{seed}.safetensors").read_bytes()).hexdigest()
    assert recipe["training"]["seed"] == seed
    assert recipe["results"]["held_out"]["mean_average_precision"] > 0.97
    fitted_on, held_out = (range(a, b + 1) for a, b in (recipe["scenes"]["fitted_on"], recipe["scenes"]["held_out"]))
    assert fitted_on.stop <= held_out.start
    # a part of what the recipe says, measured again
    view = load_scenes(seed)
    with torch.no_grad():
        logits = view.run(view.prepare([s.picture for s in unseen])).logits
    right = np.mean([logits[i].argmax().item() in s.labels for i, s in enumerate(unseen)])
    assert right == pytest.approx(recipe["results"]["held_out"]["likeliest_class_is_there"], abs=0.03)


def test_shipped_weights_are_small_and_differ():
    sizes = [asset(f"scenes-{seed}.safetensors").stat().st_size for seed in SEEDS]
    assert max(sizes) < 3 << 20
    assert len({asset(f"scenes-{seed}.safetensors").read_bytes() for seed in SEEDS}) == len(SEEDS)


def test_it_is_a_view_and_leaves_nothing_behind(view, pairs):
    assert isinstance(view, View)
    before = state_of(view.model)
    own_and_other_energy(view, pairs[:2], hirescam)
    assert_state_unchanged(view, before)


def test_find_gives_logits_names_and_the_embedding_behind_them(view, pairs):
    inputs = view.prepare([s.picture for s in pairs[:3]])
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
    assert found.logits.shape == (3, len(view.names))
    torch.testing.assert_close(view.model.head(found.embedding), found.logits)


@pytest.mark.parametrize("size", [(128, 128), (96, 128), (128, 64), (480, 640), (333, 200)])
def test_frames_are_exact_for_any_aspect(view, size):
    assert_block_moves_its_cell(
        view, "stem", size, (int(size[1] * 0.7), int(size[0] * 0.4)), side=max(4, min(size) // 10) // 2 * 2, cells=1.5
    )


@pytest.mark.parametrize(
    "size", [pytest.param((300, 200)), *wide([pytest.param((480, 640)), pytest.param((512, 512))])]
)
def test_larger_and_other_shaped_pictures_are_recognised(view, size):
    some = list(scenes(HELD_OUT[300:320], SceneConfig(size=size)))
    with torch.no_grad():
        logits = view.run(view.prepare([s.picture for s in some])).logits
    assert np.mean([logits[i].argmax().item() in s.labels for i, s in enumerate(some)]) > 0.9


def test_pictures_keep_their_aspect_and_are_seen_whole(view):
    inputs = view.prepare([np.zeros((480, 640, 3), np.uint8)])
    assert inputs.frame[0].cell_size.tolist() == [5.0, 5.0]
    corners = inputs.frame.boxes_from_source(torch.tensor([[[0.0, 0.0, 640.0, 480.0]]], dtype=torch.float64))
    assert corners[0, 0].tolist() == [0.0, 16.0, 128.0, 112.0]
    assert (inputs.tensor[0, :, :16] == inputs.tensor[0, 0, 0, 0]).all()
    assert abs(float(inputs.tensor[0, 0, 0, 0])) < 0.01  # padded with the colour that stands for nothing


def test_files_come_back_as_they_went(tmp_path):
    config = SceneNetConfig(names=("a", "b"), size=(64, 96), widths=(4, 4, 6, 8))
    model = random_scene_net(config, 1)
    again = load_scene_net(save_scene_net(model, tmp_path / "net.safetensors"))
    assert again.config == config
    assert not again.training
    for name, value in model.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(again.state_dict()[name], expected)


def test_files_that_are_no_scene_classifier_are_refused(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(
        WeightsError,
        match=r"there is no file .*missing\.safetensors, expected a scene classifier.*isotherm train scenes",
    ):
        load_scene_net(tmp_path / "missing.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="is not a scene classifier of isotherm: its format is None"):
        load_scene_net(tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(asset("scenes-0.safetensors").read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_scene_net(tmp_path / "broken.safetensors")
    header = json.dumps(
        {"format": "isotherm.scene_classifier/1", "names": ["a"], "size": [64, 64], "widths": [4, 4, 4, 4]}
    )
    save_file({"a": torch.zeros(2)}, tmp_path / "wrong.safetensors", metadata={"isotherm": header})
    with pytest.raises(WeightsError, match="cannot be read"):
        load_scene_net(tmp_path / "wrong.safetensors")


def test_random_networks_are_seeded_and_leave_the_global_state_alone():
    config = SceneNetConfig(names=("a",), widths=(4, 4, 4, 4))
    before = torch.get_rng_state()
    one, two, three = (random_scene_net(config, seed).head.weight for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


def test_names_of_the_command_line(tmp_path):
    assert torch.equal(load("scenes").model.head.weight, load_scenes(0).model.head.weight)
    assert torch.equal(load("scenes-1").model.head.weight, load_scenes(1).model.head.weight)
    assert torch.equal(load("2").model.head.weight, load_scenes(2).model.head.weight)  # of "scenes:2"
    assert torch.equal(load("scenes", seed=7).model.head.weight, load_scenes(0).model.head.weight)
    random = load("scenes", weights="none", seed=7)
    assert torch.equal(random.model.head.weight, random_scene_net(random.model.config, 7).head.weight)
    save_scene_net(random.model, tmp_path / "mine.safetensors")
    assert load("scenes", weights=tmp_path / "mine.safetensors").model.config == random.model.config
    assert open_view("scenes").view.names == load("scenes").names
    with pytest.raises(OptionError, match="0, 1, 2"):
        load("scenes-9")
    with pytest.raises(AdapterError, match="scenes"):
        load("scenery")


def test_wrap_keeps_the_device_unless_told():
    model = random_scene_net(SceneNetConfig(names=("a",), widths=(4, 4, 4, 4)), 0)
    assert wrap(model).model is model
    assert wrap(model.double()).prepare([np.zeros((64, 64, 3), np.uint8)]).tensor.dtype == torch.float64


@pytest.mark.parametrize("change", [{"names": ()}, {"widths": (1, 2, 3)}, {"size": (8, 8)}])
def test_wrong_configurations_are_refused(change, unchecked):
    with pytest.raises(OptionError):
        SceneNetConfig(**{"names": ("a",), **change})
