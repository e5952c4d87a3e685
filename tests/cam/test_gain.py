"""Verdicts of pictures by the evidence gain: shipped networks, and which targets have one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm import explain
from isotherm.cam import methods
from isotherm.cam.attribute import attribute
from isotherm.cam.gain import picture_gain
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.scores import Classes, Contrast, Detection
from isotherm.cam.trace import LayerMap
from isotherm.data.scenes import make_scene
from isotherm.metrics.gain import HALVES, evidence_gain
from isotherm.metrics.randomisation import randomised
from isotherm.zoo.scenes.view import load_scenes
from rigs.tiny_views import TinyClassifier, TinyDetector

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def explained():
    """A scene, what its classifier finds in it, and the map of that."""
    view, scene = load_scenes(0), make_scene(3)
    inputs = view.prepare([scene.picture])
    with torch.no_grad():
        logits = view.run(inputs).logits[0]
    k = max((int(k) for k in scene.labels), key=lambda k: float(logits[k]))
    done = attribute(view, inputs, methods=[methods.hirescam], score=Classes((k,)))
    return view, inputs, done


def gain(explained, values=None, **more):
    view, inputs, done = explained
    m = done.maps[0]
    shown = m if values is None else LayerMap(m.name, values, m.frame)
    return picture_gain(view, inputs, done.targets, shown, **more)


def test_a_right_map_gains_and_altered_ones_do_not(explained):
    values = explained[2].maps[0].values
    assert gain(explained).value > 2
    assert gain(explained, -values).value < -2
    assert gain(explained, values.roll((8, 8), (1, 2))).value < 0.7
    assert gain(explained, seed=5).value == pytest.approx(gain(explained).value, abs=0.05)


def test_a_map_of_random_weights_gains_nothing(explained):
    view, inputs, done = explained
    with randomised(view.model, 1.0, seed=1, calibrate=lambda: view.run(inputs)):
        (m,) = attribute(view, inputs, methods=[methods.hirescam], score=Classes((int(done.targets.which[0]),))).maps
        assert abs(picture_gain(view, inputs, done.targets, m).value) < 0.7


def test_only_targets_that_are_classes_among_others_have_one():
    torch.manual_seed(0)
    known = {"class": (TinyClassifier(), None), "box": (TinyDetector(), Detection(0))}
    for view, target in known.values():
        (trust,) = explain(view, PICTURE, target=target).trust
        assert trust.gain is not None
        assert trust.deletion.orders == 0
    others = [(TinyClassifier(), Contrast()), (TinyDetector(), Detection(0, of="size"))]
    for view, target in others:
        (trust,) = explain(view, PICTURE, target=target).trust
        assert trust.gain is None
        assert trust.deletion.orders > 0


def test_the_full_check_has_the_same_gain_and_the_details():
    torch.manual_seed(0)
    view = TinyClassifier()
    (fast,), (full,) = (explain(view, PICTURE, trust=level).trust for level in ("fast", "full"))
    assert full.gain.fractions == (0.25, 0.5, 0.75)
    assert full.gain.whole == pytest.approx(fast.gain.whole)
    assert full.deletion.orders == 10
    assert full.similarity == full.similarity  # not NaN


def test_of_equal_maps_one_is_judged(monkeypatch):
    """HiResCAM and Grad-CAM are one map in front of global pooling."""
    counted = []
    monkeypatch.setattr("isotherm.cam.gain.evidence_gain", lambda *a, **k: counted.append(a) or evidence_gain(*a, **k))
    maps = explain("scenes", make_scene(3).picture, method=["hirescam", "gradcam", "layercam"])
    first, second, third = maps.trust
    assert first.gain is second.gain
    assert third.gain != first.gain
    assert len(counted) == 2


def test_what_no_map_decides_is_read_once_for_all_maps_of_a_picture(monkeypatch):
    """The covered picture, and its halves: of two targets and three methods as of one alone, and with equal verdicts."""
    torch.manual_seed(0)
    counted, of_each = [], ViewRerun.rival_logits_of_each

    def count(self, tensor, target):
        counted.append(len(tensor))
        return of_each(self, tensor, target)

    monkeypatch.setattr(ViewRerun, "rival_logits_of_each", count)
    view, names = TinyClassifier(), ["hirescam", "layercam", "eigencam"]
    maps = explain(view, PICTURE, target=Classes((0, 1)), method=names)
    trusts = iter(maps.trust)
    assert counted == [1, 2 * HALVES]
    assert sum(bool(trust.gain.halves) for trust in maps.trust) > 2
    for k in (0, 1):
        for name in names:
            (alone,) = explain(view, PICTURE, target=Classes((k,)), method=name).trust
            beside = next(trusts)
            assert beside.verdict == alone.verdict
            assert beside.gain.value == pytest.approx(alone.gain.value, abs=1e-4)
            assert beside.gain.halves == pytest.approx(alone.gain.halves, abs=1e-4)
