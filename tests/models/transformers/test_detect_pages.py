"""Detectors of the parts of a page and of where text is: their processors' own findings, and the logits of their own map."""

from __future__ import annotations

import pytest
import torch

from isotherm.api import explain
from isotherm.cam.scores import Detection
from isotherm.cam.view import Pins, Segmentation, View
from isotherm.errors import AdapterError, OptionError
from isotherm.models.transformers.detect_pages import PAGES, TEXT_MAPS
from rigs.breadth import wide
from rigs.transformers_models import picture
from rigs.transformers_pages import further_processor, further_view, make_further

PICTURES = (picture(90, 150), picture(120, 100, 1))


@pytest.mark.parametrize("family", PAGES)
def test_findings_are_the_processors_own_in_its_order_of_reading(family):
    view = further_view(family)
    assert isinstance(view, View)
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        raw = view.run(inputs)
        least = float(view.find(raw, inputs).confidence.median())
        view.confidence = least
        found = view.find(raw, inputs)
    own = further_processor(family).post_process_object_detection(
        raw, threshold=least, target_sizes=[p.shape[:2] for p in PICTURES]
    )
    assert len(found) == sum(len(one["scores"]) for one in own) > 2
    for row, one in enumerate(own):
        mine = found.take(torch.nonzero(found.picture == row).flatten())
        assert torch.equal(mine.confidence, one["scores"])
        assert torch.equal(mine.classes, one["labels"])
        torch.testing.assert_close(mine.logits.sigmoid()[torch.arange(len(mine)), mine.classes], mine.confidence)
        source = inputs.frame[row].boxes_to_source(mine.boxes.double())
        torch.testing.assert_close(source.float(), one["boxes"].float(), atol=1e-3, rtol=1e-5)
    assert found.activation == "sigmoid"
    assert (found.masks is not None) == (family == "pp_doclayout_v3")
    if found.masks is not None:
        own_masks = raw.out_masks[found.picture, found.candidate]
        shrunk = torch.nn.functional.interpolate(found.masks()[:, None], size=own_masks.shape[-2:], mode="area")[:, 0]
        close = torch.corrcoef(torch.stack([shrunk.flatten(), own_masks.flatten()]))[0, 1]
        assert float(close) > 0.95


@pytest.mark.parametrize("family", PAGES)
def test_a_finding_is_explained_and_found_again_in_the_same_picture(family):
    view = further_view(family)
    parts = ("class", "box", "mask") if family == "pp_doclayout_v3" else ("class", "box")
    maps = explain(view, PICTURES[0], target=Detection(0, of=parts), trust="off")
    assert [m.meta["part"] for m in maps] == list(parts)
    assert all(float(m.values.abs().max()) > 0 for m in maps)
    inputs = view.prepare(PICTURES[:1])
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
        first = found.take(found.confidence.argmax()[None])  # queries are chosen by IoU x class probability
        again = view.refind(raw, inputs, Pins(first.boxes, first.classes, first.candidate))
    assert int(again.candidate) == int(first.candidate)


def test_what_the_processor_lacks_to_make_findings_is_named(monkeypatch):
    view = further_view("pp_doclayout_v3")
    inputs = view.prepare(PICTURES[:1])

    def lacking(*_args, **_options):
        raise ImportError("\nPPDocLayoutV3ImageProcessor requires the OpenCV library\nmore")

    monkeypatch.setattr(type(view.processor), "post_process_object_detection", lacking)
    with pytest.raises(AdapterError, match=r"requires the OpenCV library.*pip install opencv-python-headless"):
        view.find(view.run(inputs), inputs)


@pytest.mark.parametrize("family", [*TEXT_MAPS[:2], *wide(TEXT_MAPS[2:])])
def test_the_map_of_text_is_explained_by_its_logits(family):
    view = further_view(family)
    inputs = view.prepare(PICTURES[:1])
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
        own = view.model(inputs.tensor).last_hidden_state
    assert isinstance(found, Segmentation)
    assert tuple(found.names) == ("text",)
    assert torch.allclose(raw.sigmoid(), own.clamp(1e-6, 1 - 1e-6), atol=1e-6)
    assert found.logits.shape[-2:] == inputs.tensor.shape[-2:]
    maps = explain(view, PICTURES[0], trust="off")
    assert [m.label for m in maps][:1] == ["text"]


def test_options_that_a_map_of_text_cannot_take_are_refused():
    model = make_further("pp_ocrv5_mobile_det")
    with pytest.raises(OptionError, match="confidence is for detectors"):
        further_view("pp_ocrv5_mobile_det", model, confidence=0.5)
    with pytest.raises(OptionError, match=r"takes no size; leave size out"):
        further_view("pp_ocrv5_mobile_det", model, size=320)
    view = further_view("pp_ocrv5_mobile_det", model)
    assert any("longer side at most 256 pixels, both rounded to multiples of 32" in p.value for p in view.premises)
