"""Maps of all findings in one pass equal the dense gradient at the finding's own level, corners included."""

from __future__ import annotations

import pytest
import torch

from isotherm.cam.capture import record
from isotherm.cam.locality import Refused
from isotherm.cam.methods.gradcam import gradcam
from isotherm.cam.methods.hirescam import hirescam
from isotherm.cam.patches import level_map, patch_gradients
from isotherm.cam.scores import ClassLogit, Detection
from isotherm.cam.trace import Targets
from isotherm.models.ultralytics.anchors import locate
from isotherm.models.ultralytics.view import wrap
from isotherm.relevance.modules import resolve
from rigs.breadth import wide
from rigs.patch_maps import patch_maps
from rigs.yolo_models import TINY_RTDETR, bus, made


def explained(config: str, part, *, end_to_end: bool | None = None, confidence: float = 0.3, **more):
    view = wrap(made(config), size=320, confidence=confidence, end_to_end=end_to_end, **more)
    inputs = view.prepare([bus()])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(view.auto_layers().layers)))
    findings = view.find(recording.raw, inputs)
    targets = Detection(of=part, keypoint=3)(findings, inputs)
    return view, inputs, recording, findings, targets


def chosen(group, size, findings) -> list[int]:
    """Rows of a group: the ones nearest to a border, and a few more; each costs a dense backward pass."""
    row, column = group.cell.T
    margin = torch.stack([row, column, size[0] - 1 - row, size[1] - 1 - column]).min(0).values
    return list(dict.fromkeys([*torch.argsort(margin)[:3].tolist(), *torch.argsort(margin)[-1:].tolist()]))


CASES = [
    ("yolo11n.yaml", "box", None),
    ("yolov8n.yaml", "class", None),
    ("yoloe-11s-seg.yaml", "class", None),
    ("yolo26n.yaml", "left", True),
    ("yolo11n-pose.yaml", "keypoint", None),
    ("yolo26n-obb.yaml", "right", True),
]
"""Every branch of a head: sides by an integral and of one number, classes by convolutions and by words, keypoints, angles."""
MORE = [
    ("yolo11n.yaml", "class", None),
    ("yolo12n.yaml", "height", None),
    ("yoloe-26s-seg.yaml", "class", True),
    ("yolo26n.yaml", "class", False),
    ("yolo26n.yaml", "class", True),
    ("yolo26n-pose.yaml", "keypoint", True),
    ("yolo11n-obb.yaml", "top", None),
]


@pytest.mark.parametrize(("config", "part", "end_to_end"), [*CASES, *wide(MORE)])
def test_patches_equal_the_dense_gradient(config, part, end_to_end):
    view, _, recording, findings, targets = explained(config, part, end_to_end=end_to_end)
    gradients = patch_gradients(view.patch_plan(recording.raw, findings, targets))
    assert not isinstance(gradients, Refused), gradients
    assert sorted(torch.cat([g.group.targets for g in gradients]).tolist()) == list(range(len(targets)))
    names = view.auto_layers().layers
    at_border = 0
    for g in gradients:
        call = recording.calls[names.index(g.group.layer)]
        assert g.activation.shape[-1] == 5
        for i in chosen(g.group, g.size, findings):
            score = targets.scores[g.group.targets[i]]
            (dense,) = torch.autograd.grad(score, call.output, retain_graph=True)
            _, patched = g.dense(torch.tensor([i]))
            scale = float(dense.abs().max())
            assert scale > 0
            assert float((patched - dense).abs().max()) < 1e-5 * scale
            row, column = g.group.cell[i].tolist()
            at_border += row in (0, 1, g.size[0] - 2, g.size[0] - 1) or column in (0, 1, g.size[1] - 2, g.size[1] - 1)
            torch.testing.assert_close(g.scores[i], score.detach(), rtol=1e-5, atol=1e-5)
    assert at_border >= 3, "the borders are what needs care"


def corner_targets(view, raw, findings, cells) -> tuple:
    """Findings put at chosen cells of every level, so that each corner is met whatever the model likes."""
    anchors, first = [], 0
    for h, w in raw.shapes:
        anchors += [first + (r % h) * w + (c % w) for r, c in cells]
        first += h * w
    anchor = torch.tensor(anchors)
    from isotherm.models.ultralytics.findings import Picked, _detections

    picked = Picked(torch.zeros_like(anchor), anchor, torch.zeros_like(anchor), torch.full(anchor.shape, 0.5))
    return picked, lambda inputs: _detections(raw, view.model.model[-1], inputs, picked, view.names)


def test_every_corner_of_every_level():
    view, inputs, recording, findings, _ = explained("yolo11n.yaml", "class")
    cells = [(0, 0), (0, -1), (-1, 0), (-1, -1), (1, 1), (0, 4), (3, -2)]
    _, make = corner_targets(view, recording.raw, findings, cells)
    corners = make(inputs)
    targets = Detection(of=("class", "right"))(corners, inputs)
    gradients = patch_gradients(view.patch_plan(recording.raw, corners, targets))
    assert not isinstance(gradients, Refused)
    assert sum(len(g.scores) for g in gradients) == 3 * len(cells) * 2
    for level, g in enumerate(gradients):
        for i in range(len(g.scores)):
            (dense,) = torch.autograd.grad(
                targets.scores[g.group.targets[i]], recording.calls[level].output, retain_graph=True
            )
            assert float((g.dense(torch.tensor([i]))[1] - dense).abs().max()) < 1e-5 * float(dense.abs().max())


def test_maps_are_those_of_the_method_at_the_findings_own_level():
    view, inputs, recording, findings, targets = explained("yolo11n.yaml", "class", confidence=0.6)
    plan = view.patch_plan(recording.raw, findings, targets)
    names = view.auto_layers().layers
    for method in (hirescam, gradcam):
        for g in patch_gradients(plan):
            call = recording.calls[names.index(g.group.layer)]
            (dense,) = torch.autograd.grad(targets.scores[g.group.targets[0]], call.output, retain_graph=True)
            expected = method.map(call.output.detach(), dense)
            got = level_map(g, method, inputs)
            torch.testing.assert_close(
                got.values[:1], expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()) + 1e-9
            )
            assert got.frame.size == g.size
    joined = patch_maps(plan, hirescam, inputs)
    assert joined.values.shape == (len(targets), 40, 32)
    # each map has its evidence around its own cell
    level, cell = locate(findings.candidate, recording.raw.shapes)
    peak = joined.values.abs().flatten(1).argmax(1)
    at = torch.stack([peak // 32, peak % 32], 1) / (2.0 ** level[:, None])
    assert bool(((at - cell).abs() <= 3.0).all())


def test_findings_of_several_pictures():
    view = wrap(made("yolo11n.yaml"), size=320, confidence=0.6)
    inputs = view.prepare([bus(), bus()[:, ::-1].copy(), bus()[::-1].copy()])
    with torch.no_grad():
        view.model.eval()
        raw = view.run(inputs)
        findings = view.find(raw, inputs)
    targets = Detection()(findings, inputs)
    together = patch_maps(view.patch_plan(raw, findings, targets), hirescam, inputs)
    assert set(findings.picture.tolist()) == {0, 1, 2}
    for i in range(3):
        one = inputs.take([i])
        with torch.no_grad():
            raw_one = view.run(one)
            findings_one = view.find(raw_one, one)
        alone = patch_maps(view.patch_plan(raw_one, findings_one, Detection()(findings_one, one)), hirescam, one)
        rows = torch.nonzero(findings.picture == i).flatten()
        rows = rows[torch.argsort(findings.candidate[rows])]
        other = torch.argsort(findings_one.candidate)
        scale = float(alone.values.abs().max())
        torch.testing.assert_close(together.values[rows], alone.values[other], rtol=1e-3, atol=1e-4 * scale)


def test_what_is_not_local_is_refused_with_the_reason():
    view, _, recording, findings, targets = explained("yolo11n-seg.yaml", ("class", "mask"), confidence=0.7)
    why = view.patch_plan(recording.raw, findings, targets)
    assert isinstance(why, Refused)
    assert "prototypes" in why.reason
    own = Targets(findings.logits.sum(1), findings.picture, ("x",) * len(findings), lambda p, t: p.logits.sum(1))
    assert "may read the whole picture" in view.patch_plan(recording.raw, findings, own).reason
    none = targets.take(torch.zeros(0, dtype=torch.long))
    assert "nothing" in view.patch_plan(recording.raw, findings, none).reason

    classifier = wrap(made("yolo11n-cls.yaml"))
    batch = classifier.prepare([bus()])
    with torch.no_grad():
        classifier.model.eval()
        raw = classifier.run(batch)
    answer = classifier.find(raw, batch)
    assert "classifier" in classifier.patch_plan(raw, answer, ClassLogit()(answer, batch)).reason

    queries = wrap(made(TINY_RTDETR), size=320, confidence=0.5)
    batch = queries.prepare([bus()])
    with torch.no_grad():
        queries.model.eval()
        raw = queries.run(batch)
    findings = queries.find(raw, batch)
    assert "RT-DETR" in queries.patch_plan(raw, findings, Detection()(findings, batch)).reason


def test_a_head_of_another_kind_is_refused():
    view, _, recording, findings, targets = explained("yolo11n.yaml", "class", confidence=0.7)
    head = view.model.model[-1]
    kind = type(head)
    head.__class__ = type("MyDetect", (kind,), {})
    try:
        why = view.patch_plan(recording.raw, findings, targets)
    finally:
        head.__class__ = kind
    assert isinstance(why, Refused)
    assert "MyDetect" in why.reason


def test_a_finding_of_a_coarse_level_is_judged_on_its_own_grid_whoever_else_is_found(monkeypatch):
    """Maps are shown on the finest level of all findings; a verdict on that grid would depend on the others."""
    view, inputs, recording, findings, targets = explained("yolo11n.yaml", "class")
    from isotherm.cam import trust as module
    from isotherm.cam.attribute import attribute
    from isotherm.metrics.cascade import Cascade
    from isotherm.metrics.trust import Beside, Trust
    from isotherm.relevance import judge as judge_module

    handed = []

    def assess(maps, pictures, score, *, grid, **_):
        handed.append((grid, maps, float(score(pictures, torch.tensor([0])))))
        unknown = Beside(0.0, 0.0, 0.0, 5)
        return (Trust(unknown, unknown),)

    def cascade(model, explain, *, maps, **_):
        torch.testing.assert_close(explain(), maps)  # with the true weights
        return Cascade((1.0,), (1,), *torch.zeros(4, 1, len(maps)).unbind(0))

    monkeypatch.setattr(module, "assess", assess)
    monkeypatch.setattr(judge_module, "cascade", cascade)

    def judged(which):
        handed.clear()
        a = attribute(view, inputs, methods=[gradcam], score=Detection(tuple(which)))
        module.assessor(a, [gradcam], "auto", "mean", "full")(0)()
        return list(handed), a.maps[0]

    groups = sorted(view.patch_plan(recording.raw, findings, targets).groups, key=lambda g: g.features.shape[-1])
    coarsest, finest = (int(g.targets[0]) for g in (groups[0], groups[-1]))
    sizes = [tuple(g.features.shape[-2:]) for g in (groups[-1], groups[0])]
    assert sizes[0] > sizes[1]
    (together, m), (alone, _), (fine, _) = judged([finest, coarsest]), judged([coarsest]), judged([finest])
    assert list(m.sizes) == sizes
    assert [grid for grid, *_ in together] == sizes
    for one, other in zip([*fine, *alone], together, strict=True):
        assert one[0] == other[0]
        torch.testing.assert_close(one[1], other[1])
        assert one[2] == pytest.approx(other[2])


def test_the_integral_over_a_box_side_survives_random_weights(quick_verdicts, monkeypatch):
    """Its weights are 0 to 15, no result of training; with others in their place a verdict would be about another way of reading boxes."""
    view, inputs, *_ = explained("yolo11n.yaml", "class")
    from isotherm.cam import trust as module
    from isotherm.cam.attribute import attribute
    from isotherm.metrics.cascade import Cascade
    from isotherm.metrics.randomisation import randomised
    from isotherm.relevance import judge as judge_module

    (name,) = view.constants
    integral = dict(view.model.named_modules())[name].conv
    assert integral.weight.flatten().tolist() == list(range(16))
    seen = []

    def cascade(model, explain, *, maps, keep, **_):
        with randomised(model, 1.0, seed=0, keep=keep):
            seen.append(integral.weight.flatten().tolist())
        with randomised(model, 1.0, seed=0):
            seen.append(integral.weight.flatten().tolist())
        return Cascade((1.0,), (1,), *torch.zeros(4, 1, len(maps)).unbind(0))

    monkeypatch.setattr(judge_module, "cascade", cascade)
    a = attribute(view, inputs, methods=[gradcam], score=Detection(0, of="width"))
    module.assessor(a, [gradcam], "auto", "mean", "fast")(0)()
    assert seen[0] == list(range(16)) != seen[1]
