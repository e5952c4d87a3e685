"""Models as users have them: after a predict, fused, frozen, in half precision, in training mode; all left as they were."""

from __future__ import annotations

import copy
import hashlib

import pytest
import torch
from torch import nn

from isotherm.cam.capture import record
from isotherm.cam.methods.hirescam import hirescam
from isotherm.cam.scores import Detection
from isotherm.errors import AdapterError
from isotherm.models.ultralytics.head import borrowed
from isotherm.models.ultralytics.view import EmbeddingPrompt, wrap
from isotherm.relevance.modules import resolve
from rigs.breadth import wide
from rigs.patch_maps import patch_maps
from rigs.yolo_models import TINY_RTDETR, bus, embeddings, fresh, made, predict


def explain_all(view):
    """Everything that touches the model: prepare, run with graph, find, gradients, patches, and reading again."""
    inputs = view.prepare([bus()])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(view.auto_layers().layers)))
    findings = view.find(recording.raw, inputs)
    targets = Detection(which=0)(findings, inputs)
    gradients = recording.gradients(targets.scores, targets.picture, keep_graph=True)
    maps = patch_maps(view.patch_plan(recording.raw, findings, targets), hirescam, inputs)
    with torch.no_grad():
        view.model.eval()
        view.refind(view.run(inputs), inputs, targets.pins)
    return findings, gradients, maps


def state_of(model: nn.Module) -> dict:
    """All that a run could change: weights and buffers, gradients, flags, hooks, and every attribute of every module."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    plain = {}
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if key in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
                plain[name, key] = len(value)
            elif not key.startswith("_") or key == "_end2end":
                plain[name, key] = id(value) if not isinstance(value, int | float | str | bool | tuple) else value
    return {
        "hash": digest.hexdigest(),
        "plain": plain,
        "grad": [(p.grad is None, p.requires_grad) for p in model.parameters()],
    }


@pytest.mark.parametrize(
    "config",
    ["yolo11n-seg.yaml", "yolo26n.yaml", "yoloe-11s-seg.yaml", *wide(["yolo11n-pose.yaml", "yolo11n-obb.yaml"])],
)
def test_models_are_left_as_they_were(config):
    yolo = made(config)
    yolo.model.eval()
    with torch.no_grad():
        yolo.model(torch.zeros(1, 3, 64, 64))  # the head caches anchors of some other shape
    more = {"class_prompt": EmbeddingPrompt(("a", "b", "c"), embeddings(3))} if "yoloe" in config else {}
    before = state_of(yolo.model)
    view = wrap(yolo, size=320, confidence=0.01, end_to_end=True if "26" in config else None, **more)
    explain_all(view)
    assert state_of(yolo.model) == before


def test_rt_detr_and_classifiers_are_left_as_they_were():
    for config, size in ((TINY_RTDETR, 320), ("yolo11n-cls.yaml", 224)):
        yolo = made(config)
        yolo.model.eval()
        before = state_of(yolo.model)
        view = wrap(yolo, size=size, confidence=0.5)
        inputs = view.prepare([bus()])
        recording = record(
            view.model,
            lambda view=view, inputs=inputs: view.run(inputs),
            resolve(view.model, list(view.auto_layers().layers)),
        )
        answer = view.find(recording.raw, inputs)
        recording.gradients(answer.logits[:1, 0], torch.tensor([0]))
        assert state_of(yolo.model) == before


def test_a_failing_run_leaves_no_trace_either(monkeypatch):
    view = wrap(made("yolo26n.yaml"), size=320, end_to_end=True)
    view.model.eval()
    before = state_of(view.model)
    inputs = view.prepare([bus()])
    monkeypatch.setattr(type(view.model.model[-1]), "_inference", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        record(view.model, lambda: view.run(inputs), resolve(view.model, list(view.auto_layers().layers)))
    assert state_of(view.model) == before


def test_borrowed_attributes_are_given_back():
    head = made("yolo11n.yaml").model.model[-1]
    before = dict(vars(head))

    def fail():
        with borrowed(head, shape=None, something=1):
            head.other = head.something
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert vars(head) == before


@pytest.mark.parametrize("config", ["yolo26n.yaml", *wide(["yolo11n-seg.yaml"])])
def test_after_a_predict_the_head_holds_inference_tensors(config):
    _, used = predict(made(config), bus(), conf=0.4)
    model = used.backend.model
    head = model.model[-1]
    assert head.anchors.is_inference(), "or this test shows nothing"
    shape, anchors = head.shape, head.anchors
    findings, gradients, _ = explain_all(wrap(used, size=320, confidence=0.4))
    assert len(findings) >= 5
    assert bool(gradients[0].any())
    assert head.anchors is anchors
    assert head.shape == shape
    # and predict goes on as before
    again = made(config).predict(bus()[..., ::-1].copy(), imgsz=320, conf=0.4, verbose=False)[0]
    assert torch.equal(again.boxes.conf, findings.confidence)


def test_frozen_fused_and_plain_models_agree():
    yolo = fresh("yolo11n.yaml")
    plain, plain_gradients, plain_maps = explain_all(wrap(yolo, size=320, confidence=0.4))
    for p in yolo.model.parameters():
        p.requires_grad_(False)
    frozen, frozen_gradients, _ = explain_all(wrap(yolo, size=320, confidence=0.4))
    assert torch.equal(frozen.logits, plain.logits)
    assert all(torch.equal(a, b) for a, b in zip(frozen_gradients, plain_gradients, strict=True))
    yolo.model.eval().fuse(verbose=False)
    fused, fused_gradients, fused_maps = explain_all(wrap(yolo, size=320, confidence=0.4))
    assert fused.candidate[0] == plain.candidate[0]
    for a, b in zip(fused_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0.02 * float(b.abs().max()) + 1e-9)
    torch.testing.assert_close(
        fused_maps.values, plain_maps.values, rtol=0, atol=0.02 * float(plain_maps.values.abs().max())
    )


@pytest.mark.parametrize("dtype", [torch.float16, *wide([torch.bfloat16])])
def test_half_precision(dtype):
    yolo = fresh("yolo11n-seg.yaml")
    whole, _, _ = explain_all(wrap(yolo, size=320, confidence=0.4))
    yolo.model.to(dtype)
    half, gradients, maps = explain_all(wrap(yolo, size=320, confidence=0.4))
    assert half.boxes.dtype == torch.float32
    assert gradients[0].dtype == dtype
    assert bool(gradients[0].isfinite().all())
    assert maps.values.dtype == torch.float32
    assert bool(maps.values.any())
    common = set(whole.candidate[:20].tolist()) & set(half.candidate.tolist())
    assert len(common) >= 10, "nearly the same anchors"


def test_a_model_in_training_mode_is_explained_in_eval_mode_and_given_back():
    yolo = fresh("yolo11n.yaml")
    yolo.model.train()
    yolo.model.model[3].eval()
    flags = [m.training for m in yolo.model.modules()]
    view = wrap(yolo, size=320, confidence=0.4)
    inputs = view.prepare([bus()])
    with pytest.raises(AdapterError, match="training mode"):
        view.run(inputs)
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, ["model.16"]))
    assert len(view.find(recording.raw, inputs)) >= 5
    assert [m.training for m in yolo.model.modules()] == flags


def test_wrappers_and_objects_lead_to_the_same_module():
    yolo = made("yolo11n.yaml")
    for given in (yolo, yolo.model, nn.DataParallel(yolo.model), predict(yolo, bus())[1]):
        assert type(wrap(given, size=320).model).__name__ == "DetectionModel"
    assert wrap(yolo, size=320).model is yolo.model
    assert wrap(nn.DataParallel(yolo.model), size=320).model is yolo.model
    exported = copy.copy(yolo)
    exported.__dict__ = {**yolo.__dict__, "_modules": {}}
    exported.model = "yolo11n.onnx"
    with pytest.raises(AdapterError, match=r"exported file yolo11n\.onnx"):
        wrap(exported)


def test_end_to_end_and_one_to_many_read_different_branches_of_one_model():
    yolo = fresh("yolo26n.yaml")
    yolo.model.end2end = True
    first = wrap(yolo, size=320, confidence=0.4)
    second = wrap(yolo, size=320, confidence=0.4, end_to_end=False)
    assert (first.end_to_end, second.end_to_end) == (True, False)
    inputs = first.prepare([bus()])
    yolo.model.eval()
    with torch.no_grad():
        a, b = first.run(inputs), second.run(inputs)
    assert not torch.equal(a.logits, b.logits)
    assert yolo.model.end2end is True
    assert a.corners
    assert not b.corners


@pytest.mark.parametrize("config", [TINY_RTDETR, "yolo12n.yaml", *wide(["yoloe-11s-seg.yaml", "yolo11n-seg.yaml"])])
def test_one_picture_has_the_gradient_that_it_has_in_a_batch(config):
    """torch's CPU batch norm returns wrong gradients for a single picture whose gradient comes in odd strides."""
    view = wrap(made(config), size=320, confidence=0.3)
    layers = resolve(view.model, ["model.2", *view.auto_layers().layers])
    one = view.prepare([bus()])
    gradients = []
    for inputs in (one, one.take([0, 0])):
        recording = record(view.model, lambda inputs=inputs: view.run(inputs), layers)
        targets = Detection(which=0)(view.find(recording.raw, inputs), inputs)
        gradients.append(recording.gradients(targets.scores[:1], targets.picture[:1]))
    for alone, together in zip(*gradients, strict=True):
        scale = float(together.abs().max())
        assert float((alone - together).abs().max()) < 1e-3 * scale + 1e-12
