"""The shipped heatmap detector: it finds objects, its findings are its own, and what speaks for one is that object's pixels."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch

from isotherm import explain
from isotherm.cam.view import Detections, Pins, View
from isotherm.data.scenes import HELD_OUT, SceneConfig, held_out_scenes, scenes
from isotherm.train.detection_precision import Boxes, detection_average_precision, shares
from isotherm.zoo.assets import asset
from isotherm.zoo.detector.network import find_centres
from isotherm.zoo.detector.view import SEEDS, load
from rigs.breadth import wide
from rigs.view_checks import (
    assert_block_moves_its_cell,
    assert_state_unchanged,
    noise_picture,
    record_at,
    state_of,
    top_scores,
)


@pytest.fixture(scope="module")
def view():
    return load()


@pytest.fixture(scope="module")
def unseen():
    return list(held_out_scenes(80))


@pytest.fixture(scope="module")
def pairs(unseen):
    """Held-out scenes with at least two objects."""
    return [s for s in unseen[:40] if len(s) >= 2]


def found_in(view, some):
    """Per scene what the view finds, in source pixels."""
    inputs = view.prepare([s.picture for s in some])
    with torch.no_grad():
        p = view.find(view.run(inputs), inputs)
    found = []
    for i in range(len(some)):
        mine = p.picture == i
        found.append(Boxes(inputs.frame[i].boxes_to_source(p.boxes[mine]).float(), p.classes[mine], p.confidence[mine]))
    return found


def truth(some):
    return [Boxes(torch.from_numpy(s.boxes), torch.from_numpy(s.labels)) for s in some]


# --- what it finds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_the_recipe_beside_the_weights_is_of_these_weights_and_they_are_good(seed, unseen):
    recipe = json.loads(asset(f"detector-{seed}.json").read_text())
    assert recipe["sha256"] == hashlib.sha256(asset(f"detector-{seed}.safetensors").read_bytes()).hexdigest()
    assert asset(f"detector-{seed}.safetensors").stat().st_size < 2 << 20
    assert recipe["training"]["seed"] == seed
    assert recipe["results"]["held_out"]["AP50"] > 0.85
    fitted_on, held_out = (range(a, b + 1) for a, b in (recipe["scenes"]["fitted_on"], recipe["scenes"]["held_out"]))
    assert fitted_on.stop <= held_out.start
    # a part of what the recipe says, measured again through the view
    sure = shares(found_in(load(f"detector-{seed}"), unseen), truth(unseen))
    for name in ("recall", "precision", "mean_iou", "class_accuracy"):
        assert sure[name] == pytest.approx(recipe["results"]["held_out"][name], abs=0.05)
    everything = found_in(load(f"detector-{seed}", confidence=0.01), unseen)
    precision = detection_average_precision(everything, truth(unseen), classes=10, least=(0.5,))
    assert float(precision.nanmean()) == pytest.approx(recipe["results"]["held_out"]["AP50"], abs=0.05)


@pytest.mark.parametrize("size", [pytest.param((300, 200)), *wide([pytest.param((480, 640))])])
def test_objects_are_found_in_larger_and_other_shaped_pictures(view, size):
    some = list(scenes(HELD_OUT[300:315], SceneConfig(size=size)))
    figures = shares(found_in(view, some), truth(some))
    assert figures["recall"] > 0.7
    assert figures["mean_iou"] > 0.7


def test_random_weights_find_nothing(unseen):
    some = unseen[:12]
    for seed in range(2):
        assert sum(len(f.classes) for f in found_in(load(weights="none", seed=seed), some)) == 0
        everything = found_in(load(weights="none", seed=seed, confidence=0.0), some)
        assert float(detection_average_precision(everything, truth(some), classes=10, least=(0.5,)).nanmean()) < 0.02


# --- the view ------------------------------------------------------------------------------------------


def test_it_is_a_view_whose_findings_carry_gradient_and_that_leaves_nothing_behind(view, pairs):
    assert isinstance(view, View)
    before = state_of(view.model)
    inputs, recording = record_at(view, [s.picture for s in pairs[:3]])
    p = view.find(recording.raw, inputs)
    assert isinstance(p, Detections)
    assert p.names == view.names
    assert p.picture.tolist() == sorted(p.picture.tolist())
    for i in range(3):
        of = p.confidence[p.picture == i]
        assert torch.equal(of, of.sort(descending=True).values)
        assert bool((of >= view.confidence).all())
    row = torch.arange(len(p))
    torch.testing.assert_close(p.logits.detach().sigmoid()[row, p.classes], p.confidence)
    scores, picture = top_scores(p)
    for score in (scores[:2], p.boxes[:2, 2] - p.boxes[:2, 0], p.boxes[:2, 1]):
        (gradient,) = recording.gradients(score, picture[:2], keep_graph=True)
        assert bool((gradient.flatten(1).abs().sum(1) > 0).all())
    assert_state_unchanged(view, before)


def test_findings_are_the_models_own(view, pairs):
    """The view adds nothing to what the network says of the pictures from 0 to 1."""
    inputs = view.prepare([s.picture for s in pairs[:2]])
    pictures = torch.stack([torch.from_numpy(s.picture).permute(2, 0, 1) for s in pairs[:2]]).float() / 255
    with torch.no_grad():
        maps = view.model(pictures)
        p = view.find(view.run(inputs), inputs)
    centres = find_centres(maps.logits, most=view.most)
    picture, rank = torch.nonzero(centres.score >= view.confidence, as_tuple=True)
    assert torch.equal(p.candidate, centres.cell[picture, rank])
    assert torch.equal(p.classes, centres.classes[picture, rank])
    torch.testing.assert_close(p.boxes, view.model.boxes_at(maps, picture, p.candidate), atol=1e-3, rtol=1e-4)


def test_the_same_cell_is_read_again(view, pairs):
    inputs = view.prepare([s.picture for s in pairs[:3]])
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
        picked = found.take(torch.tensor([len(found) - 1, 0, 1]))
        again_inputs = inputs.take(picked.picture)
        again = view.refind(view.run(again_inputs), again_inputs, Pins(picked.boxes, picked.classes, picked.candidate))
    torch.testing.assert_close(again.logits, picked.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(again.boxes, picked.boxes, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(again.confidence, picked.confidence, rtol=1e-4, atol=1e-5)
    assert torch.equal(again.classes, picked.classes)
    assert torch.equal(again.picture, torch.arange(3))


@pytest.mark.parametrize("layer", ["backbone.stages.0", "backbone.stages.1", "backbone"])
@pytest.mark.parametrize("size", [(128, 128), (333, 200)])
def test_frames_are_exact_for_any_aspect(view, layer, size):
    side = max(4, min(size) // 10) // 2 * 2
    # the head is trained to answer at centres of objects, wherever the block is: test_cells_lie_where_the_strides_say has it
    assert_block_moves_its_cell(view, layer, size, (int(size[1] * 0.7), int(size[0] * 0.4)), side=side, cells=1.0)


def test_all_layers_lie_cell_on_block(view):
    inputs = view.prepare([noise_picture(100, 128)])
    for layer, stride in (
        ("backbone.stages.0.0", 4),
        ("backbone.stages.1.2", 8),
        ("head.finer.3", 4),
        ("head.centres", 4),
    ):
        _, recording = record_at(view, [noise_picture(100, 128)], [layer], gradient=False)
        frame = view.layout(layer, recording.calls[0].output, inputs).frame(
            inputs, recording.calls[0].output.shape[-2:]
        )[0]
        assert frame.cell_size.tolist() == [stride, stride]
        assert frame.points_to_source(torch.tensor([[0.0, 0.0]], dtype=torch.float64)).tolist() == [[0.0, -14.0]]


def test_pictures_without_findings_and_single_findings(view):
    empty = np.full((90, 120, 3), 124, np.uint8)
    inputs = view.prepare([empty, empty])
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
    assert len(found) == 0
    said = explain(view, empty, trust="off")
    assert len(said) == 0
    assert "found nothing" in " ".join(said.notes)


def test_another_least_confidence_over_the_same_network():
    view = load("detector")
    other = view.with_confidence(0.9)
    assert other.model is view.model
    assert (other.confidence, other.most, other.name) == (0.9, view.most, view.name)
