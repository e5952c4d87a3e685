"""OmDet-Turbo: its processor's own findings, which suppresses what overlaps; texts are read by the present weights."""

from __future__ import annotations

import pytest
import torch

from isotherm.api import explain
from isotherm.cam.view import Pins, View
from isotherm.errors import AdapterError, OptionError
from isotherm.models.transformers.omdet import CACHES
from isotherm.models.transformers.view import wrap
from rigs.transformers_models import picture
from rigs.transformers_pages import PROMPTS, further_processor, further_view, make_further

PICTURES = (picture(90, 150), picture(120, 100, 1))
TEXTS = PROMPTS["omdet_turbo"]


def test_findings_are_the_processors_own_behind_its_suppression():
    everything = further_view("omdet_turbo")
    assert isinstance(everything, View)
    inputs = everything.prepare(PICTURES)
    own_processor = further_processor("omdet_turbo")
    with torch.no_grad():
        least = float(everything.find(everything.run(inputs), inputs).confidence.median())
        view = further_view("omdet_turbo", everything.model, confidence=least)
        raw = view.run(inputs)
        found = view.find(raw, inputs)
        output = view.model(**own_processor(images=list(PICTURES), text=[TEXTS] * 2, return_tensors="pt"))
    sizes = [p.shape[:2] for p in PICTURES]
    own = own_processor.post_process_grounded_object_detection(output, threshold=least, target_sizes=sizes)
    assert 0 < len(found) < output.decoder_class_logits[0].numel() * 2
    for row in range(2):
        mine = found.take(torch.nonzero(found.picture == row).flatten())
        torch.testing.assert_close(mine.confidence, own[row]["scores"])
        assert torch.equal(mine.classes, own[row]["labels"])
        torch.testing.assert_close(mine.logits.sigmoid()[torch.arange(len(mine)), mine.classes], mine.confidence)
        h, w = sizes[row]
        limits = torch.tensor([w, h, w, h])
        source = inputs.frame[row].boxes_to_source(mine.boxes.double()).float().clamp_min(0).minimum(limits)
        torch.testing.assert_close(source, own[row]["boxes"].float(), atol=1e-3, rtol=1e-5)
    assert tuple(view.names) == tuple(TEXTS)
    pins = Pins(found.boxes[:1], found.classes[:1], found.candidate[:1])
    first = inputs.take([0])
    assert int(view.refind(view.run(first), first, pins).candidate) == int(found.candidate[0])


def test_texts_are_read_by_the_present_weights_and_the_models_memory_is_left_alone():
    view = further_view("omdet_turbo")
    model, inputs = view.model, view.prepare(PICTURES[:1])
    memories = [getattr(model, name) for name in CACHES]
    with torch.no_grad():
        before = view.run(inputs).decoder_class_logits
        model.language_backbone.text_projection.mul_(-1)
        after = view.run(inputs).decoder_class_logits
    assert not torch.allclose(before, after)
    assert all(getattr(model, name) is memory for name, memory in zip(CACHES, memories, strict=True))
    assert all(not memory.current_load for memory in memories)
    assert all(float(m.values.abs().max()) > 0 for m in explain(view, PICTURES[0], trust="off"))


def test_mistakes_say_what_to_give():
    model = make_further("omdet_turbo")
    with pytest.raises(OptionError, match="finds what a text says, but no classes were given"):
        wrap(model, processor=further_processor("omdet_turbo"))
    with pytest.raises(AdapterError, match="the processor has no tokeniser"):
        wrap(model, processor=further_processor("omdet_turbo").image_processor, classes=TEXTS)
