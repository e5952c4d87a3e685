"""What speaks for a finding of the shipped detector is the object's own pixels, for every part of the finding."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch

from isotherm import explain, open_model
from isotherm.cam import methods
from isotherm.cam.capture import record
from isotherm.cam.scores import Detection
from isotherm.cam.view import Inputs, Pins
from isotherm.data.demo_pictures import DEMO_PICTURES, demo_picture_paths
from isotherm.data.scenes import held_out_scenes
from isotherm.errors import AdapterError, IsothermError, OptionError, TargetError, WeightsError
from isotherm.metrics.localisation import energy_inside, pointing_game
from isotherm.models.choose import open_view
from isotherm.ops.resample import to_source
from isotherm.relevance.modules import resolve
from isotherm.train.detection_precision import overlaps
from isotherm.zoo.assets import asset
from isotherm.zoo.detector.network import HeatmapDetectorConfig, random_detector, save_detector
from isotherm.zoo.detector.view import HeatmapDetectorView, load, wrap
from rigs.breadth import wide
from rigs.view_checks import noise_picture

SMALL = HeatmapDetectorConfig(names=("a", "b"), size=(64, 64), widths=(8, 16), depth=1, hidden=8)


@pytest.fixture(scope="module")
def view():
    return load()


@pytest.fixture(scope="module")
def pairs():
    """Held-out scenes with at least two objects."""
    return [s for s in held_out_scenes(20) if len(s) >= 2]


# --- what speaks for a finding -------------------------------------------------------------------------


class Pinned(NamedTuple):
    """The detector's findings that are right, and the pictures' pixels that are theirs and the other objects'."""

    inputs: Inputs
    pins: Pins
    own: torch.Tensor
    others: torch.Tensor


@pytest.fixture(scope="module")
def pinned(view, pairs) -> Pinned:
    inputs = view.prepare([s.picture for s in pairs])
    with torch.no_grad():
        p = view.find(view.run(inputs), inputs)
    rows, own, others = [], [], []
    for row, i in enumerate(p.picture.tolist()):
        shared = overlaps(inputs.frame[i].boxes_to_source(p.boxes[row : row + 1]), torch.from_numpy(pairs[i].boxes))[0]
        j = int(shared.argmax())
        if shared[j] >= 0.5 and int(p.classes[row]) == int(pairs[i].labels[j]):
            rows.append(row)
            own.append(torch.from_numpy(pairs[i].masks[j]))
            others.append(torch.from_numpy(pairs[i].masks.any(0)) & ~own[-1])
    rows, own, others = rows[:20], own[:20], others[:20]
    p = p.take(torch.tensor(rows))
    return Pinned(inputs.take(p.picture), Pins(p.boxes, p.classes, p.candidate), torch.stack(own), torch.stack(others))


def figures(view, pinned, *, layer=None, score=lambda found, row: found.logits[row, found.classes]):
    """Mean shares of positive energy on the own and on the other objects, and of hits of the own within 4 pixels."""
    layer = view.auto_layers().layers[0] if layer is None else layer
    recording = record(view.model, partial(view.run, pinned.inputs), resolve(view.model, layer))
    row = torch.arange(len(pinned.inputs))
    found = view.refind(recording.raw, pinned.inputs, pinned.pins)
    (gradient,) = recording.gradients(score(found, row), row)
    output = recording.calls[0].output
    frame = view.layout(layer, output, pinned.inputs).frame(pinned.inputs, tuple(output.shape[-2:]))
    maps = to_source(getattr(methods, view.default_method).map(output.detach(), gradient), frame)
    hits = pointing_game(maps, pinned.own, tolerance=4.0)
    return tuple(
        float(v.nanmean()) for v in (energy_inside(maps, pinned.own), energy_inside(maps, pinned.others), hits)
    )


def test_evidence_is_the_objects_own(view, pinned):
    own, others, hits = figures(view, pinned)
    assert len(pinned.own) == 20
    assert own > 5 * float(pinned.own.float().mean())
    assert own > 4 * others
    assert hits > 0.9


def test_evidence_is_lost_with_random_weights(view, pinned):
    """A random network still looks around the cell that it is asked about, so part of it stays; twice that is learnt."""
    own, others, hits = figures(view, pinned)
    lost = np.mean([figures(wrap(random_detector(view.model.config, seed)), pinned) for seed in range(2)], 0)
    assert own > 2 * lost[0]
    assert own / others > 2 * lost[0] / lost[1]
    assert hits > lost[2] + 0.1


def test_behind_the_head_a_map_would_say_where_the_cell_is_and_not_what_was_seen(view, pinned):
    """Why the layer is not the last: there random weights put as much on the object as trained ones."""
    trained = figures(view, pinned, layer="head.finer")[0]
    random = np.mean(
        [figures(wrap(random_detector(view.model.config, seed)), pinned, layer="head.finer")[0] for seed in range(2)]
    )
    assert trained < 1.3 * random


def test_what_moves_a_side_lies_nearer_to_that_side(view, pinned):
    """The centre of gravity of the left side's map is left of the right side's, and the same from top to bottom."""

    def gravity(side, sign):
        layer = view.auto_layers().layers[0]
        recording = record(view.model, partial(view.run, pinned.inputs), resolve(view.model, layer))
        row = torch.arange(len(pinned.inputs))
        found = view.refind(recording.raw, pinned.inputs, pinned.pins)
        (gradient,) = recording.gradients(sign * found.boxes[row, side], row)
        output = recording.calls[0].output
        frame = view.layout(layer, output, pinned.inputs).frame(pinned.inputs, tuple(output.shape[-2:]))
        maps = to_source(getattr(methods, view.default_method).map(output.detach(), gradient), frame).clamp(min=0)
        along = maps.sum(1 if side % 2 == 0 else 2)
        return (along * torch.arange(along.shape[1])).sum(1) / along.sum(1)

    for low, high in ((0, 2), (1, 3)):
        assert float((gravity(high, 1) > gravity(low, -1)).float().mean()) > 0.6


def test_the_finding_goes_when_its_object_is_painted_over(view, pairs):
    """What the maps point at is what the answer hangs on: without the object's pixels its logit falls, without another's it stays."""
    fallen = []
    for scene in pairs[:5]:
        inputs = view.prepare([scene.picture])
        with torch.no_grad():
            p = view.find(view.run(inputs), inputs)
        for row in range(len(p)):
            shared = overlaps(inputs.frame[0].boxes_to_source(p.boxes[row : row + 1]), torch.from_numpy(scene.boxes))[0]
            if shared.max() < 0.5:
                continue
            own, change = int(shared.argmax()), []
            for j in (own, (own + 1) % len(scene)):
                painted = scene.picture.copy()
                painted[scene.masks[j]] = scene.picture.mean((0, 1)).astype(np.uint8)
                with torch.no_grad():
                    again = view.refind(
                        view.run(view.prepare([painted])),
                        inputs,
                        Pins(p.boxes[[row]], p.classes[[row]], p.candidate[[row]]),
                    )
                change.append(float(p.logits[row, p.classes[row]] - again.logits[0, p.classes[row]]))
            fallen.append(change)
    own, other = np.mean(fallen, 0)
    assert own > 3
    assert abs(other) < own / 5


# --- the front doors -----------------------------------------------------------------------------------


FEW = {
    "rise": {"masks": 40},
    "drise": {"masks": 40},
    "scorecam": {"channels": 6},
    "occlusion": {"window": 32, "stride": 32},
    "integratedgradients": {"tolerance": 0.2},
}
"""Options with which slow methods are fast. A blank picture has no variance to divide by, so paths from it are rough: 9 % are lost here."""
REFUSE = {"rollout": "attention", "legrad": "tokens", "legrad_final": "attention", "finercam": "only one target"}
"""What needs a transformer or several classes, and what is said."""
FIRST = ("hirescam", "eigencam", "fullgrad", "integratedgradients", "ablationcam", "drise", "occlusion", "rollout")
"""By gradients of a layer, by its values, through all layers, along a path, by channels and by pixels left out; and one that refuses."""


@pytest.mark.parametrize("name", [*FIRST, *wide(name for name in methods.ALL if name not in FIRST)])
def test_every_method_runs_or_says_why_not(view, pairs, name):
    method = replace(getattr(methods, name), **FEW.get(name, {}))
    if name in REFUSE:
        with pytest.raises(IsothermError, match=REFUSE[name]):
            explain(view, pairs[0].picture, method=method, target=Detection(0), trust="off")
        return
    said = explain(view, pairs[0].picture, method=method, target=Detection(0), trust="off")
    assert len(said) == 1
    assert torch.isfinite(said[0].values).all()
    assert float(said[0].values.abs().sum()) > 0


@pytest.mark.parametrize("part", ["class", "box", "left", "top", "right", "bottom", "width", "height", "size"])
def test_every_part_of_a_finding_can_be_explained(view, pairs, part):
    said = explain(view, pairs[0].picture, target=Detection(of=part), trust="off")
    assert len(said) == len(said.findings) >= 1
    for heatmap, finding in zip(said, said.findings, strict=True):
        assert heatmap.kind == "relevance"
        assert heatmap.has_evidence
        assert heatmap.meta["box"] == pytest.approx(finding.box, abs=1e-3)
        assert heatmap.label.startswith(finding.label)


def test_parts_that_it_has_not_are_refused(view, pairs):
    for part in ("mask", "objectness", "keypoint"):
        with pytest.raises(TargetError, match=part):
            explain(view, pairs[0].picture, target=Detection(of=part), trust="off")


def test_findings_are_chosen_by_class_and_by_box(view, pairs):
    scene = pairs[0]
    everything = explain(view, scene.picture, trust="off")
    finding = everything.findings[0]
    by_class = explain(view, scene.picture, target=finding.label, trust="off")
    by_box = explain(view, scene.picture, target=Detection(box=finding.box), trust="off")
    assert torch.equal(by_class[0].values, everything[0].values)
    assert torch.equal(by_box[0].values, everything[0].values)
    assert any(line.startswith("layers: ") and "stage" in line for line in everything.chosen)


def test_the_line_of_trust_is_given_and_maps_are_faithful(view, pairs):
    """A class is known from what its map marks, and not from the rest."""
    for scene in pairs[:3]:
        said = explain(view, scene.picture, target=Detection(0))
        assert said.trust_lines[0].startswith("trust: evidence gain +")
        assert said.trust[0].verdict == "believable"
        assert min(said.trust[0].gain.kept) > max(said.trust[0].gain.cut)


def test_names_of_the_command_line(tmp_path):
    opened = open_view("detector")
    assert isinstance(opened.view, HeatmapDetectorView)
    assert "ships with isotherm" in opened.reason
    shipped = load().model.head.centres[0].weight
    for name in ("detector-0", "detector:0"):
        assert torch.equal(open_model(name).model.head.centres[0].weight, shipped)
    random = load(weights="none", seed=7)
    assert torch.equal(
        random.model.head.centres[0].weight, random_detector(random.model.config, 7).head.centres[0].weight
    )
    save_detector(random_detector(SMALL, 1), tmp_path / "mine.safetensors")
    mine = open_model("detector", weights=tmp_path / "mine.safetensors", confidence=0.5)
    assert mine.model.config == SMALL
    assert mine.confidence == 0.5
    assert isinstance(open_view(mine.model).view, HeatmapDetectorView)
    with pytest.raises(OptionError, match="training seeds 0"):
        load("detector-9")
    with pytest.raises(AdapterError, match="detector"):
        load("detective")
    with pytest.raises(WeightsError, match="not a heatmap detector"):
        load(weights=asset("scenes-0.safetensors"))
    with pytest.raises(OptionError, match="from 0 to 1"):
        load(confidence=1.5)


def test_wrap_keeps_the_device_unless_told():
    model = random_detector(SMALL, 0)
    assert wrap(model).model is model
    doubled = wrap(model.double())
    assert doubled.prepare([noise_picture(64, 64)]).tensor.dtype == torch.float64
    found = doubled.find(
        doubled.run(doubled.prepare([noise_picture(64, 64)])), doubled.prepare([noise_picture(64, 64)])
    )
    assert len(found) == 0


def test_the_demos_pictures_hold_what_it_finds(view):
    """On the shipped pictures, which are JPEGs and larger, most objects are found."""
    from PIL import Image

    hits = []
    for picture, fpath in zip(DEMO_PICTURES, demo_picture_paths(), strict=True):
        said = explain(view, np.asarray(Image.open(fpath)), trust="off")
        for box, label in zip(picture.scene.boxes, picture.scene.labels, strict=True):
            hits.append(
                any(
                    f.label == view.names[label]
                    and float(overlaps(torch.tensor([f.box]), torch.from_numpy(box)[None])) > 0.5
                    for f in said.findings
                )
            )
    assert np.mean(hits) > 0.7
