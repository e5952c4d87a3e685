"""What the adapter finds is what the package's own predict reports: same indices, boxes, classes, masks, in its order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.cam.capture import record
from isotherm.cam.view import Classification, Detections, Pins, View
from isotherm.errors import AdapterError, LayerError, OptionError
from isotherm.models.ultralytics.view import load, wrap
from isotherm.relevance.modules import resolve
from rigs.breadth import wide
from rigs.yolo_models import TINY_RTDETR, bus, fresh, made, predict

DETECTORS = [
    ("yolo11n.yaml", {"conf": 0.4}),
    ("yolo11n-seg.yaml", {"conf": 0.4}),
    ("yolo11n-pose.yaml", {"conf": 0.5}),
    ("yolo11n-obb.yaml", {"conf": 0.4}),
    ("yolov8n.yaml", {"conf": 0.4, "iou": 0.4}),
    ("yolo26n.yaml", {"conf": 0.4}),
    ("yolo26n.yaml", {"conf": 0.5, "nms": False, "max_det": 25}),
    ("yolo26n-pose.yaml", {"conf": 0.6, "nms": False}),
]
"""Every task and option, with suppression and without."""
MORE_DETECTORS = [
    ("yolo12n.yaml", {"conf": 0.4, "max_det": 17}),
    ("yoloe-11s-seg.yaml", {"conf": 0.25}),
    ("yolo26n-seg.yaml", {"conf": 0.5, "nms": False}),
    ("yolo26n-obb.yaml", {"conf": 0.6, "nms": False}),
    ("yoloe-26s-seg.yaml", {"conf": 0.3}),
]
OPTIONS = {"conf": "confidence", "iou": "iou", "max_det": "max_detections"}


def options(arguments: dict) -> dict:
    return {OPTIONS[k]: v for k, v in arguments.items() if k in OPTIONS}


def found(view: View, picture=None):
    inputs = view.prepare([bus() if picture is None else picture])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(view.auto_layers().layers)))
    return view.find(recording.raw, inputs), recording, inputs


def in_source(boxes: torch.Tensor, inputs, picture: np.ndarray) -> torch.Tensor:
    h, w = picture.shape[:2]
    limits = torch.tensor([w, h, w, h], dtype=torch.float64)
    return inputs.frame[0].boxes_to_source(boxes.detach().double()).clamp_min(0).minimum(limits)


@pytest.mark.parametrize(
    ("config", "arguments"),
    [*DETECTORS, *wide(MORE_DETECTORS)],
    ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values())),
)
def test_findings_are_those_of_predict(config, arguments):
    result, used = predict(made(config), bus(), **arguments)
    findings, _, inputs = found(wrap(used, size=320, **options(arguments)))
    expected = result.boxes if result.obb is None else result.obb
    assert isinstance(findings, Detections)
    assert len(findings) == len(expected) >= 5
    assert torch.equal(findings.confidence, expected.conf)
    assert torch.equal(findings.classes, expected.cls.long())
    assert len({round(c, 4) for c in findings.confidence.tolist()}) > len(findings) / 2, (
        "saturated: order would prove nothing"
    )
    if result.obb is None:
        error = (in_source(findings.boxes, inputs, bus()) - expected.xyxy).abs().max()
    else:
        centre = inputs.frame[0].points_to_source(
            ((findings.boxes[:, :2] + findings.boxes[:, 2:]) / 2).detach().double()
        )
        size = (findings.boxes[:, 2:] - findings.boxes[:, :2]).detach() * inputs.frame[0].cell_size.flip(0)
        turned = torch.cat([centre, size, findings.angles.detach()[:, None]], 1)
        error = (turned - expected.xywhr).abs().max()
    assert float(error) < 2e-4, "source pixels"
    # the class logit of the very anchor: its sigmoid is the confidence
    own = findings.logits.gather(1, findings.classes[:, None])[:, 0]
    torch.testing.assert_close(own.sigmoid(), findings.confidence, rtol=0, atol=1e-6)
    assert findings.activation == "sigmoid"
    assert findings.logits.requires_grad
    assert findings.boxes.requires_grad
    if result.masks is not None:
        masks = findings.masks().detach()
        rows, columns = torch.arange(masks.shape[1])[:, None], torch.arange(masks.shape[2])
        x0, y0, x1, y1 = findings.boxes.detach()[:, :, None, None].unbind(1)
        inside = (rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)
        differs = ((masks > 0) & inside) != result.masks.data.bool()
        assert float(masks.abs()[differs].max() if differs.any() else 0) < 1e-4, "only where a logit is 0 to rounding"
    if result.keypoints is not None:
        places = findings.keypoints[..., :2].detach().double()
        got = inputs.frame[0].points_to_source(places.flatten(0, 1)).view_as(places)
        limits = torch.tensor([810.0, 1080.0], dtype=torch.float64)
        torch.testing.assert_close(
            got.clamp_min(0).minimum(limits).float(), result.keypoints.xy * 1.0, rtol=0, atol=5e-4
        )
        torch.testing.assert_close(findings.keypoints[..., 2].sigmoid(), result.keypoints.conf, rtol=0, atol=1e-6)


def test_findings_with_empty_masks_are_dropped_as_predict_drops_them():
    yolo = fresh("yolo11n-seg.yaml")
    head = yolo.model.model[-1]
    with torch.no_grad():  # coefficients of one level turned against the prototypes: masks there are empty
        head.cv4[0][-1].weight.zero_()
        head.cv4[0][-1].bias.fill_(-1.0)
        head.proto.cv3.bn.bias += 4.0
    yolo.model.names = {i: f"c{i}" for i in range(80)}
    result, used = predict(yolo, bus(), conf=0.4)
    all_found = predict(made("yolo11n-seg.yaml"), bus(), conf=0.4)[0]
    assert 0 < len(result.boxes) < len(all_found.boxes)
    findings, _, inputs = found(wrap(used, size=320, confidence=0.4))
    assert torch.equal(findings.confidence, result.boxes.conf)
    assert float((in_source(findings.boxes, inputs, bus()) - result.boxes.xyxy).abs().max()) < 2e-4


def test_candidates_are_anchors_of_the_raw_output():
    view = wrap(made("yolo11n.yaml"), size=320, confidence=0.4)
    findings, recording, _ = found(view)
    raw = recording.raw
    for i in range(len(findings)):
        column = raw.dense[0, :, findings.candidate[i]]
        assert torch.equal(raw.logits[0, :, findings.candidate[i]], findings.logits[i])
        assert torch.equal(column[4 + findings.classes[i]], findings.confidence[i])
        half = column[2:4] / 2
        torch.testing.assert_close(torch.cat([column[:2] - half, column[:2] + half]), findings.boxes[i])


def test_classes_restrict_what_is_reported():
    yolo = made("yolo11n.yaml")
    everything = found(wrap(yolo, size=320, confidence=0.4))[0]
    wanted = int(everything.classes.mode().values)
    result, used = predict(yolo, bus(), conf=0.4, classes=[wanted])
    findings = found(wrap(used, size=320, confidence=0.4, classes=str(wanted)))[0]
    assert 0 < len(findings) < len(everything)
    assert set(findings.classes.tolist()) == {wanted}
    assert torch.equal(findings.confidence, result.boxes.conf)


def test_a_classifier_gives_logits_not_probabilities():
    result, used = predict(made("yolo11n-cls.yaml"), bus(), imgsz=224)
    view = wrap(used)
    answer, recording, _ = found(view)
    assert isinstance(answer, Classification)
    torch.testing.assert_close(answer.logits.softmax(1)[0], result.probs.data, rtol=0, atol=1e-7)
    assert answer.exclusive  # that softmax is what predict calls its probabilities
    head = view.model.model[-1]
    torch.testing.assert_close(head.linear(answer.embedding), answer.logits)
    assert float(answer.logits.detach().std()) > 0.5
    (gradient,) = recording.gradients(answer.logits[:, 3], torch.tensor([0]))
    assert bool(gradient.any())


def test_rt_detr_findings_are_those_of_predict():
    result, used = predict(made(TINY_RTDETR), bus(), conf=0.5, max_det=40)
    view = wrap(used, size=320, confidence=0.5, max_detections=40)
    findings, recording, inputs = found(view)
    assert len(findings) == len(result.boxes) >= 5, len(findings)
    assert torch.equal(findings.confidence, result.boxes.conf)
    assert torch.equal(findings.classes, result.boxes.cls.long())
    # predict does not cut RT-DETR's boxes at the picture's edge
    boxes = inputs.frame[0].boxes_to_source(findings.boxes.detach().double())
    assert float((boxes - result.boxes.xyxy).abs().max()) < 5e-4
    own = findings.logits.gather(1, findings.classes[:, None])[:, 0]
    torch.testing.assert_close(own.sigmoid(), findings.confidence, rtol=0, atol=1e-6)
    gradients = recording.gradients(own[:1], torch.tensor([0]))
    assert all(bool(g.any()) for g in gradients), "every level has a path to the score"
    # the pinned query is found again among queries in another order
    pins = Pins(findings.boxes.detach()[:3], findings.classes[:3], torch.tensor([0, 0, 0]))
    thrice = inputs.take([0, 0, 0])
    with torch.no_grad():
        again = view.refind(view.run(thrice), thrice, pins)
    torch.testing.assert_close(again.boxes, findings.boxes[:3].detach(), rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(again.logits, findings.logits[:3].detach(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("config", "end_to_end"), [("yolo11n-seg.yaml", False), ("yolo26n-pose.yaml", True), ("yolo11n-obb.yaml", False)]
)
def test_pinned_anchors_are_read_again_from_changed_pictures(config, end_to_end):
    view = wrap(made(config), size=320, confidence=0.4, end_to_end=end_to_end)
    findings, _, inputs = found(view)
    rows = torch.tensor([0, 3, 4])
    pins = Pins(findings.boxes.detach()[rows], findings.classes[rows], findings.candidate[rows])
    same = inputs.take([0, 0, 0])
    with torch.no_grad():
        view.model.eval()
        again = view.refind(view.run(same), same, pins)
        changed = same.with_tensor(same.tensor.clone().masked_fill_(torch.ones(1, 1, 320, 256).tril().bool(), 0.4))
        raw = view.run(changed)
        other = view.refind(raw, changed, pins)
    chosen = findings.take(rows)
    tight = {"rtol": 1e-4, "atol": 1e-3}
    torch.testing.assert_close(again.logits, chosen.logits.detach(), **tight)
    torch.testing.assert_close(again.boxes, chosen.boxes.detach(), **tight)
    torch.testing.assert_close(again.confidence, chosen.confidence, **tight)
    assert again.candidate.tolist() == findings.candidate[rows].tolist()
    if findings.masks is not None:
        torch.testing.assert_close(again.masks(), chosen.masks().detach(), **tight)
    if findings.keypoints is not None:
        torch.testing.assert_close(again.keypoints, chosen.keypoints.detach(), **tight)
    if findings.angles is not None:
        torch.testing.assert_close(again.angles, chosen.angles.detach(), **tight)
    for i in range(3):
        assert torch.equal(other.logits[i], raw.logits[i, :, pins.candidate[i]])
    assert float((other.logits - again.logits).abs().max()) > 0.1


def test_a_batch_keeps_pictures_apart():
    view = wrap(made("yolo11n-seg.yaml"), size=320, confidence=0.8)
    mirrored = np.ascontiguousarray(bus()[:, ::-1])
    inputs = view.prepare([bus(), mirrored])
    with torch.no_grad():
        view.model.eval()
        both = view.find(view.run(inputs), inputs)
        alone = [view.find(view.run(inputs.take([i])), inputs.take([i])) for i in range(2)]
    assert both.picture.tolist() == [0] * len(alone[0]) + [1] * len(alone[1])
    for i, one in enumerate(alone):
        mine = both.take(torch.nonzero(both.picture == i).flatten())
        # a batch rounds otherwise, so near-equal confidences may swap places
        mine, one = (d.take(torch.argsort(d.candidate)) for d in (mine, one))
        assert torch.equal(mine.candidate, one.candidate)
        torch.testing.assert_close(mine.confidence, one.confidence, rtol=1e-4, atol=1e-5)
        first = torch.arange(20)
        torch.testing.assert_close(mine.take(first).masks(), one.take(first).masks(), rtol=1e-2, atol=1e-2)


def test_nothing_found_is_an_answer():
    view = wrap(made("yolo11n-seg.yaml"), size=320, confidence=1.0)
    findings, _, _ = found(view)
    assert len(findings) == 0
    assert findings.masks().shape == (0, 320, 256)


def test_layers_come_from_the_head_with_the_reason():
    expected = {
        "yolov8n.yaml": ("model.15", "model.18", "model.21"),
        "yolo11n.yaml": ("model.16", "model.19", "model.22"),
        "yolo12n.yaml": ("model.14", "model.17", "model.20"),
        "yolo26n.yaml": ("model.16", "model.19", "model.22"),
        "yolo11n-cls.yaml": ("model.9",),
    }
    for config, layers in expected.items():
        view = wrap(made(config))
        assert view.auto_layers().layers == layers
        assert layers[0] in view.auto_layers().reason
        assert isinstance(view, View)
    view = wrap(made("yolo11n.yaml"), size=320)
    _, recording, inputs = found(view)
    for call, stride in zip(recording.calls, (8, 16, 32), strict=True):
        grid = view.layout(str(call), call.output, inputs).frame(inputs, call.output.shape[-2:])
        assert grid.size == (320 // stride, 256 // stride)
    with pytest.raises(LayerError, match=r"model\.16"):
        view.layout("model.23", torch.zeros(1, 84, 10), inputs)


def test_load_makes_seeded_random_weights_and_leaves_the_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, other = (load("yolo11n.yaml", seed=s, size=320) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [v.model.model[0].conv.weight for v in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert first.model.is_fused()
    assert first.name == "yolo11n (detect), random weights"
    assert not first.model.training
    end_to_end = load("yolo26n.yaml", end_to_end=True)
    assert end_to_end.end_to_end
    assert end_to_end.model.model[-1].cv2 is None


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: wrap(torch.nn.Linear(2, 2)), AdapterError, "Linear is not an ultralytics model"),
        (lambda: wrap(made("yolo11n.yaml"), size=500), OptionError, "multiples of 32"),
        (lambda: wrap(made("yolo11n.yaml"), size=(320, 320, 3)), OptionError, "multiples of 32"),
        (lambda: wrap(made("yolo11n.yaml"), confidence=25), OptionError, "from 0 to 1"),
        (lambda: wrap(made("yolo11n.yaml"), max_detections=0), OptionError, "at least 1"),
        (lambda: wrap(made("yolo11n.yaml"), classes="unicorn"), OptionError, "no class 'unicorn'"),
        (
            lambda: wrap(made("yolo11n.yaml"), names=["a", "b"]),
            OptionError,
            "2 class names were given for a model of 80",
        ),
        (lambda: wrap(made("yolo11n.yaml"), end_to_end=True), AdapterError, "no one-to-one branch"),
        (
            lambda: wrap(load("yolo26n.yaml", end_to_end=True).model, end_to_end=False),
            AdapterError,
            "load the file again",
        ),
        (lambda: wrap(made("yolo11n-cls.yaml"), classes="0"), OptionError, "ClassLogit"),
        (lambda: load("yolo99z.yaml"), Exception, "yolo99z"),
    ],
    ids=[
        "module",
        "size",
        "three sizes",
        "confidence",
        "max",
        "class",
        "names",
        "end to end",
        "fused away",
        "classifier",
        "config",
    ],
)
def test_wrong_options_say_what_to_do(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_a_checkpoint_is_opened_safely_and_finds_what_predict_finds(tmp_path):
    import ultralytics

    fpath = tmp_path / "mine.pt"
    made("yolo11n-seg.yaml").save(fpath)
    result, _ = predict(ultralytics.YOLO(fpath), bus(), conf=0.4, channels_last=False)
    view = load(fpath, size=320, confidence=0.4)
    findings, _, inputs = found(view)
    assert view.name == "mine (segment)"
    assert len(findings) == len(result.boxes) >= 5
    torch.testing.assert_close(findings.confidence, result.boxes.conf, rtol=0, atol=1e-6)
    assert float((in_source(findings.boxes, inputs, bus()) - result.boxes.xyxy).abs().max()) < 1e-3
    assert not any(p.requires_grad for p in view.model.parameters())


def test_empty_masks_are_told_as_the_package_tells_them():
    """Small blobs, thin boxes, borders: the shortcut must agree with enlarging every mask, whatever decides."""
    from ultralytics.utils.ops import process_mask

    from isotherm.models.ultralytics.masks import not_empty

    generator = torch.Generator().manual_seed(3)
    n, h, w = 400, 20, 16
    # one prototype per finding with a few positive cells, so that coefficients pick exactly one
    proto = -torch.rand(1, n, h, w, generator=generator)
    corner = torch.rand(n, 2, generator=generator) * torch.tensor([60.0, 76.0])
    boxes = torch.cat([corner, corner + torch.rand(n, 2, generator=generator) * 30 - 1], 1)
    for i in range(n):
        reach = torch.randint(-4, 5, (2,), generator=generator)
        x, y = (((boxes[i, :2] + boxes[i, 2:]) / 8).long() + reach).tolist()
        side = i % 4
        proto[0, i, max(0, y - side) : max(0, y + side), max(0, x - side) : max(0, x + side)] = torch.rand(
            1, generator=generator
        )
    expected = process_mask(proto[0], torch.eye(n), boxes, (80, 64), upsample=True).amax((1, 2)) > 0
    got = not_empty(torch.eye(n), proto, boxes, torch.zeros(n, dtype=torch.long), (80, 64))
    assert 0.2 < float(expected.float().mean()) < 0.8
    assert torch.equal(got, expected)


def test_another_least_confidence_over_the_same_module():
    low = wrap(made("yolo11n.yaml"), size=320, confidence=0.001)
    inputs = low.prepare([bus()])
    with torch.no_grad():
        raw = low.run(inputs)
        every = low.find(raw, inputs).confidence
        least = float(every.median())
        high = low.with_confidence(least)
        assert high.model is low.model
        assert high.find(raw, inputs).confidence.tolist() == every[every > least].tolist()
    assert low.with_confidence(0.001).thresholds == low.thresholds
    assert wrap(made("yolo11n-cls.yaml"), size=64).with_confidence(0.5) is None
