"""YOLOE: words, embeddings, boxes on pictures, and built-in vocabularies; the model itself is never changed."""

from __future__ import annotations

import copy
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from isotherm.cam.capture import record
from isotherm.cam.view import Pins
from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.models.ultralytics.view import EmbeddingPrompt, TextPrompt, VisualPrompt, load, wrap
from isotherm.relevance.modules import resolve
from rigs.breadth import wide
from rigs.yolo_models import bus, embeddings, fresh, made, predict

BOXES = [[40.0, 400.0, 260.0, 900.0], [660.0, 390.0, 809.0, 880.0], [5.0, 220.0, 800.0, 770.0]]
SIZE = {"size": 320}


def found(view, picture=None):
    inputs = view.prepare([bus() if picture is None else picture])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(view.auto_layers().layers)))
    return view.find(recording.raw, inputs), recording, inputs


def fingerprint(model: nn.Module) -> tuple:
    own = {k: v for k, v in vars(model).items() if not k.startswith("_")}
    head = {k: v for k, v in vars(model.model[-1]).items() if not k.startswith("_")}
    return (
        {k: id(v) for k, v in own.items()},
        {k: id(v) for k, v in head.items()},
        [m.training for m in model.modules()],
    )


def words(count: int) -> tuple[str, ...]:
    return tuple(f"word{i}" for i in range(count))


def test_embeddings_need_no_text_encoder_and_no_set_classes():
    yolo = made("yoloe-11s-seg.yaml")
    values = embeddings(9)[3:7]
    before = fingerprint(yolo.model)
    view = wrap(yolo, class_prompt=EmbeddingPrompt(words(4), values), confidence=0.3, **SIZE)
    findings, _, _ = found(view)
    assert fingerprint(yolo.model) == before
    assert findings.names == words(4)
    assert findings.logits.shape[1] == 4
    other = fresh("yoloe-11s-seg.yaml")
    other.set_classes(list(words(4)), values[None])
    result, used = predict(other, bus(), conf=0.3)
    same, _, _ = found(wrap(used, confidence=0.3, **SIZE))
    assert torch.equal(same.confidence, result.boxes.conf)
    assert len(same) >= 5
    # through our prompt on the unfused model: the same but for the rounding of fusing
    best = min(5, len(findings))
    torch.testing.assert_close(findings.confidence[:best], same.confidence[:best], rtol=1e-3, atol=1e-3)


class FakeTextModel:
    """Stands in for the text encoder, which would be downloaded: a seeded vector per word."""

    def tokenize(self, texts):
        return torch.tensor([[sum(map(ord, t))] for t in texts])

    def encode_text(self, tokens, dtype=None):
        rows = [torch.randn(512, generator=torch.Generator().manual_seed(int(t))) for t in tokens]
        return nn.functional.normalize(torch.stack(rows), dim=-1)


def test_words_go_through_the_models_own_text_encoder(monkeypatch):
    fake = types.ModuleType("ultralytics.nn.text_model")
    asked = []
    fake.build_text_model = lambda variant, device=None: asked.append(variant) or FakeTextModel()
    monkeypatch.setitem(sys.modules, "ultralytics.nn.text_model", fake)
    yolo = made("yoloe-11s-seg.yaml")
    before = fingerprint(yolo.model)
    view = wrap(yolo, classes="bus, person", confidence=0.05, **SIZE)
    assert view.names == ("bus", "person")
    assert asked == [yolo.model.text_model]
    assert not view.embeddings.is_inference(), "inference tensors cannot be saved for backward"
    torch.testing.assert_close(view.embeddings, yolo.model.get_text_pe(["bus", "person"]).clone())
    findings, recording, _ = found(view)
    recording.gradients(findings.logits[:1, 0], torch.tensor([0]))
    assert fingerprint(yolo.model) == before
    assert torch.equal(wrap(yolo, class_prompt=TextPrompt(("bus", "person")), **SIZE).embeddings, view.embeddings)


def test_a_text_encoder_that_cannot_be_had_is_an_error_that_helps(monkeypatch):
    monkeypatch.delitem(sys.modules, "ultralytics.nn.text_model", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install"):
        wrap(made("yoloe-11s-seg.yaml"), classes="bus", **SIZE)
    fake = types.ModuleType("ultralytics.nn.text_model")

    def offline(variant, device=None):
        raise ConnectionError("no network")

    fake.build_text_model = offline
    monkeypatch.setitem(sys.modules, "ultralytics.nn.text_model", fake)
    with pytest.raises(WeightsError, match="EmbeddingPrompt"):
        wrap(made("yoloe-11s-seg.yaml"), classes="bus", **SIZE)


def test_classes_set_in_the_package_are_taken_over_even_as_inference_tensors():
    yolo = fresh("yoloe-11s-seg.yaml")
    with torch.inference_mode():
        yolo.model.pe = embeddings(3)[None].clone()
    yolo.model.names = dict(enumerate(words(3)))
    view = wrap(yolo, confidence=0.3, **SIZE)
    findings, recording, _ = found(view)
    assert view.names == words(3)
    (gradient, *_) = recording.gradients(findings.logits[:1, 0], torch.tensor([0]))
    assert bool(gradient.isfinite().all())
    assert yolo.model.pe.is_inference()


@pytest.mark.parametrize("classes", [[0, 1, 1], *wide([None])], ids=["two classes", "one class"])
def test_boxes_on_the_same_picture_as_predict(classes):
    import ultralytics  # noqa: F401  (predict below imports the predictor from it)

    yolo = fresh("yoloe-11s-seg.yaml")
    numbers = np.array(classes or [0, 0, 0])
    result, used = predict(yolo, bus(), conf=0.05, visual_prompts={"bboxes": np.array(BOXES), "cls": numbers})
    before = fingerprint(used.backend.model)
    view = wrap(used, class_prompt=VisualPrompt(BOXES, classes), confidence=0.05, **SIZE)
    findings, recording, inputs = found(view)
    assert fingerprint(used.backend.model) == before
    assert findings.names == tuple(f"object{i}" for i in range(len(set(numbers))))
    assert len(findings) == len(result.boxes) >= 3
    assert torch.equal(findings.classes, result.boxes.cls.long())
    torch.testing.assert_close(findings.confidence, result.boxes.conf, rtol=0, atol=1e-6)
    assert inputs.extra["prompt"].shape[:2] == (1, len(set(numbers)))
    recording.gradients(findings.logits[:1, 0], torch.tensor([0]))
    # the prompt belongs to the picture: repeated and masked rows keep it
    assert torch.equal(inputs.take([0, 0]).extra["prompt"], inputs.extra["prompt"].expand(2, -1, -1))


def test_boxes_on_a_reference_picture_as_predict():
    yolo = fresh("yoloe-11s-seg.yaml")
    mirrored = np.ascontiguousarray(bus()[:, ::-1])
    prompts = {"bboxes": np.array(BOXES), "cls": np.array([0, 0, 1])}
    result, used = predict(
        copy.copy(yolo), mirrored, conf=0.05, visual_prompts=prompts, refer_image=np.ascontiguousarray(bus()[..., ::-1])
    )
    view = wrap(
        used,
        class_prompt=VisualPrompt(BOXES, [0, 0, 1], picture=bus(), names=("person", "bus")),
        confidence=0.05,
        **SIZE,
    )
    findings, _, inputs = found(view, mirrored)
    assert not inputs.extra
    assert findings.names == ("person", "bus")
    assert len(findings) == len(result.boxes) >= 3
    torch.testing.assert_close(findings.confidence, result.boxes.conf, rtol=0, atol=1e-6)


def prompt_free(threshold: float):
    """A YOLOE with a built-in vocabulary, whose first class serves as the proposal filter."""
    yolo = fresh("yoloe-11s-seg.yaml")
    model = yolo.model.eval()
    model.args = {"imgsz": 320}
    head = model.model[-1]
    model.set_classes(list(words(5)), embeddings(5)[None])
    head.fuse(model.pe)
    vocabulary = nn.ModuleList(branch[-1] for branch in head.cv3)
    model.set_vocab(vocabulary, names=list(words(5)))
    head.conf = threshold
    return yolo


def test_prompt_free_findings_are_those_of_predict_and_know_their_anchor():
    yolo = prompt_free(0.01)
    result, used = predict(yolo, bus(), conf=0.05)
    view = wrap(used, confidence=0.05, **SIZE)
    findings, recording, inputs = found(view)
    raw = recording.raw
    assert len(findings) == len(result.boxes) >= 5
    assert torch.equal(findings.confidence, result.boxes.conf)
    assert 0 < raw.dense.shape[2] < 1680, "the filter keeps some anchors"
    assert not torch.equal(raw.kept, torch.arange(len(raw.kept)))
    # the candidate is the anchor among all: without the filter, the same numbers stand there
    with torch.no_grad():
        head = view.model.model[-1]
        head.conf = 1e-12
        whole = view.run(inputs)
        head.conf = 0.01
    assert len(whole.kept) == 1680 > len(raw.kept)
    torch.testing.assert_close(findings.logits.detach(), whole.logits[0, :, findings.candidate].T, rtol=1e-5, atol=1e-5)
    centre = (findings.boxes.detach()[:, :2] + findings.boxes.detach()[:, 2:]) / 2
    torch.testing.assert_close(centre, whole.dense[0, :2, findings.candidate].T, rtol=1e-5, atol=1e-3)
    # an anchor that the filter drops in a changed picture is still read, exactly
    rows = [0, 1, len(findings) - 1]
    pins = Pins(findings.boxes.detach()[rows], findings.classes[rows], findings.candidate[rows])
    grey = inputs.take([0, 0, 0]).with_tensor(inputs.take([0, 0, 0]).tensor * 0.3 + 0.3)
    with torch.no_grad():
        view.model.model[-1].conf = 0.9
        filtered = view.run(grey)
        got = view.refind(filtered, grey, pins)
        view.model.model[-1].conf = 1e-12
        unfiltered = view.run(grey)
        expected = view.refind(unfiltered, grey, pins)
    assert not set(pins.candidate.tolist()) <= set(filtered.kept.tolist())
    torch.testing.assert_close(got.logits, expected.logits)
    torch.testing.assert_close(got.boxes, expected.boxes)
    torch.testing.assert_close(got.masks(), expected.masks())
    column = {int(a): i for i, a in enumerate(unfiltered.kept)}
    for i, anchor in enumerate(pins.candidate.tolist()):
        torch.testing.assert_close(got.logits[i], unfiltered.logits[i, :, column[anchor]], rtol=1e-4, atol=1e-4)
        centre = unfiltered.dense[i, :4, column[anchor]]
        torch.testing.assert_close((got.boxes[i, :2] + got.boxes[i, 2:]) / 2, centre[:2], rtol=1e-4, atol=1e-2)
        torch.testing.assert_close(got.boxes[i, 2:] - got.boxes[i, :2], centre[2:], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (
            lambda: load("yoloe-11s-seg.yaml", **SIZE),
            AdapterError,
            "has no classes of its own; give it words to look for .classes., or boxes around such things .like.",
        ),
        (
            lambda: wrap(made("yolo11n.yaml"), class_prompt=TextPrompt(("bus",)), **SIZE),
            AdapterError,
            "takes no prompts",
        ),
        (lambda: wrap(made("yolo11n-cls.yaml"), class_prompt=TextPrompt(("bus",))), AdapterError, "takes no prompts"),
        (
            lambda: wrap(made("yoloe-11s-seg.yaml"), classes="bus", class_prompt=TextPrompt(("bus",)), **SIZE),
            OptionError,
            "give one of them",
        ),
        (lambda: wrap(made("yoloe-11s-seg.yaml"), classes="", **SIZE), OptionError, "none of them empty"),
        (
            lambda: wrap(made("yoloe-11s-seg.yaml"), class_prompt=EmbeddingPrompt(("a",), embeddings(2)), **SIZE),
            OptionError,
            "one row of 512 per name",
        ),
        (lambda: wrap(made("yoloe-11s-seg.yaml"), class_prompt=VisualPrompt([]), **SIZE), OptionError, "at least one"),
        (
            lambda: wrap(made("yoloe-11s-seg.yaml"), class_prompt=VisualPrompt(BOXES, [0, 1]), **SIZE),
            OptionError,
            "2 class numbers",
        ),
        (
            lambda: wrap(made("yoloe-11s-seg.yaml"), class_prompt=VisualPrompt(BOXES, names=("a", "b")), **SIZE),
            OptionError,
            "names 2 classes",
        ),
        (lambda: wrap(prompt_free(0.1), class_prompt=TextPrompt(("bus",)), **SIZE), AdapterError, "takes no prompts"),
    ],
)
def test_prompts_that_cannot_work_say_why(make, error, says):
    with pytest.raises(error, match=says):
        make()
