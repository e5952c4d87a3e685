"""Detectors of what a text says: their own findings, the texts as classes."""

from __future__ import annotations

import pytest
import torch

from isotherm.cam.attribute import attribute
from isotherm.cam.capture import record
from isotherm.cam.methods import hirescam
from isotherm.cam.scores import Detection
from isotherm.cam.view import Pins, View
from isotherm.errors import AdapterError, OptionError
from isotherm.models.transformers.detect_text import joined, prompts, spans
from isotherm.models.transformers.view import wrap
from isotherm.relevance.modules import resolve
from rigs.transformers_models import make, picture
from rigs.transformers_views import PROMPTED, TEXTS, hit, processor, view_of

PICTURES = (picture(90, 150), picture(120, 100, 1))


@pytest.mark.parametrize("family", PROMPTED)
def test_findings_are_the_processors_own(family):
    everything = view_of(family)
    assert isinstance(everything, View)
    inputs = everything.prepare(PICTURES)
    own_processor = processor(family)
    with torch.no_grad():
        least = float(everything.find(everything.run(inputs), inputs).confidence.median())
        view = view_of(family, model=everything.model, confidence=least)
        found = view.find(view.run(inputs), inputs)
        output = view.model(**own_processor(images=list(PICTURES), text=[TEXTS[family]] * 2, return_tensors="pt"))
    sizes = [p.shape[:2] for p in PICTURES]
    own = own_processor.post_process_grounded_object_detection(output, threshold=least, target_sizes=sizes)
    assert 0 < len(found) < 2 * output.logits.shape[1]
    for row in range(2):
        mine = found.take(torch.nonzero(found.picture == row).flatten())
        assert torch.equal(mine.confidence, own[row]["scores"])
        source = inputs.frame[row].boxes_to_source(mine.boxes.double())
        torch.testing.assert_close(source.float(), own[row]["boxes"].float(), atol=1e-3, rtol=1e-5)
        if family != "grounding_dino":
            assert torch.equal(mine.classes, own[row]["labels"])
            assert torch.equal(mine.logits, output.logits[row, mine.candidate])
            torch.testing.assert_close(mine.logits.sigmoid().amax(1), mine.confidence)
        assert mine.activation == "sigmoid"
        assert mine.confidence_of_class == (family != "grounding_dino")  # of all tokens of its sentence


def test_grounding_dino_logits_are_the_largest_of_each_texts_tokens():
    view = view_of("grounding_dino")
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
    words = [processor("grounding_dino").tokenizer.convert_ids_to_tokens(raw.input_ids[0])]
    assert words[0] == ["[CLS]", "a", "cat", ".", "red", "dog", ".", "[SEP]"]
    expected = torch.stack([raw.logits[..., 1:3].amax(-1), raw.logits[..., 4:6].amax(-1)], -1)
    assert torch.equal(found.logits, expected[found.picture, found.candidate])
    assert torch.equal(found.classes, found.logits.argmax(1))
    assert set(found.classes.tolist()) == {0, 1}
    assert tuple(view.names) == ("a cat", "red dog")


def test_the_sentence_is_the_packages_own():
    own = processor("grounding_dino")
    texts = ["A cat", "red dog", "remote  control"]
    encoded = own(text=[texts], images=PICTURES[0], return_tensors="pt")
    mine = own.tokenizer(joined(texts), return_offsets_mapping=True, return_tensors="pt")
    assert torch.equal(mine["input_ids"], encoded["input_ids"])
    assert [s.tolist() for s in spans(texts, mine["offset_mapping"][0].tolist())] == [[1, 2], [4, 5], [7, 8]]


def test_texts_may_be_one_string():
    assert prompts("a cat. red dog.", "X") == ["a cat", "red dog"]
    assert prompts([" a cat "], "X") == ["a cat"]
    assert tuple(view_of("grounding_dino", classes="a cat. bus").names) == ("a cat", "bus")
    for nothing in (None, "", " . ", []):
        with pytest.raises(OptionError, match="no classes were given"):
            prompts(nothing, "X")


@pytest.mark.parametrize("family", PROMPTED)
def test_other_texts_give_other_logits(family):
    first = view_of(family)
    second = view_of(family, model=first.model, classes=["bus", *TEXTS[family][1:]])
    inputs = first.prepare([PICTURES[0]])
    with torch.no_grad():
        a, b = (v.find(v.run(inputs), inputs).logits for v in (first, second))
    assert float((a[:, 0] - b[:, 0]).abs().max()) > 1e-3


@pytest.mark.parametrize("family", PROMPTED)
def test_gradients_reach_the_chosen_layers(family):
    view = view_of(family)
    layers = view.auto_layers().layers
    inputs = view.prepare([PICTURES[0]])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(layers)))
    found = view.find(recording.raw, inputs)
    gradients = recording.gradients(found.logits[:1, 0], found.picture[:1])
    for layer, gradient in zip(layers, gradients, strict=True):
        cells = view.layout(layer, gradient, inputs).to_grid(gradient)
        assert float((cells != 0).any(1).float().mean()) == 1.0
    maps = attribute(view, inputs, methods=[hirescam], score=Detection((0, 1))).maps[0].values
    assert bool(maps.isfinite().all())
    assert float(maps.abs().amax((1, 2)).min()) > 0


@pytest.mark.parametrize("family", PROMPTED)
def test_a_bright_block_moves_the_cell_that_the_frame_says(family):
    view = view_of(family)
    # the finest level of the tiny Swin answers to its windows; the others see the block itself
    layers = view.auto_layers().layers[1:] if family == "grounding_dino" else view.auto_layers().layers
    for layer in layers:
        assert max(hit(view, layer, (80, 90))) <= (0.8 if family == "grounding_dino" else 0.4)


def test_owlv2_objectness_is_the_models_own_with_its_gradient():
    view = view_of("owlv2")
    layers = view.auto_layers().layers
    inputs = view.prepare([PICTURES[0]])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(layers)))
    found = view.find(recording.raw, inputs)
    torch.testing.assert_close(found.objectness.detach(), recording.raw.objectness_logits[0, found.candidate].detach())
    (gradient,) = recording.gradients(found.objectness[:1], found.picture[:1])
    assert float(gradient.abs().max()) > 0
    other = view_of("owlvit")
    with torch.no_grad():
        assert other.find(other.run(inputs), inputs).objectness is None


@pytest.mark.parametrize("family", PROMPTED)
def test_findings_are_read_again(family):
    view = view_of(family)
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
        rows = torch.stack([torch.nonzero(found.picture == i).flatten()[2] for i in range(2)])
        again = view.refind(raw, inputs, Pins(found.boxes[rows], found.classes[rows], found.candidate[rows]))
    assert torch.equal(again.classes, found.classes[rows])
    if family == "grounding_dino":
        kept = (again.candidate == found.candidate[rows]) | (again.confidence > found.confidence[rows])
        assert bool(kept.all())
    else:
        assert torch.equal(again.candidate, found.candidate[rows])
        assert torch.equal(again.logits, found.logits[rows])


def test_bfloat16():
    view = view_of("owlv2", model=make("owlv2").to(torch.bfloat16))
    maps = attribute(view, view.prepare([PICTURES[0]]), methods=[hirescam], score=Detection(0)).maps[0].values
    assert bool(maps.isfinite().all())
    assert float(maps.abs().max()) > 0


def test_what_is_refused():
    with pytest.raises(OptionError, match="no classes were given"):
        view_of("owlv2", classes=None)
    with pytest.raises(AdapterError, match="no tokeniser"):
        wrap(make("owlv2"), classes=["a cat"])
    with pytest.raises(OptionError, match="full stop"):
        view_of("grounding_dino", classes=["st. bernard"])
    with pytest.raises(OptionError, match="tokens"):
        view_of("owlv2", classes=["a very long sentence about a dog"])
    with pytest.raises(OptionError, match="tokens together"):
        view_of("grounding_dino", classes=["cat"] * 40)
