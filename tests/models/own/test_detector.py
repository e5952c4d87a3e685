"""A detector of one's own: one function reads its candidates, and everything that detectors can be asked works."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import isotherm
from isotherm import Detection, explain
from isotherm.cam.methods import RISE
from isotherm.errors import AdapterError, OptionError, TargetError
from isotherm.models.own.candidates import Candidates, best_fit, kept

PICTURE = np.zeros((64, 96, 3), np.uint8)
PICTURE[8:24, 8:24] = (255, 0, 0)
PICTURE[40:56, 64:80] = (0, 0, 255)
FED = dict(size=(64, 96), mean=(0.0,) * 3, std=(1.0,) * 3, geometry="squash")


class Squares(nn.Module):
    """Finds red and blue squares of 16 pixels: at each of 8 x 12 places a logit that it is one, and how far it is."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(8))
        self.head = nn.Conv2d(4, 2, 3, padding=1)
        with torch.no_grad():
            self.body[0].weight.zero_()
            self.body[0].bias.zero_()
            for channel in (0, 1):
                self.body[0].weight[channel, (0, 2)[channel], 1, 1] = 1.0
            self.head.weight.zero_()
            for channel in (0, 1):
                self.head.weight[channel, channel] = 1.0
            self.head.bias.fill_(-3.0)

    def forward(self, x):
        return {"maps": self.head(self.body(x)), "of": tuple(x.shape[-2:])}


def read_boxes(out):
    maps = out["maps"]
    b, _, h, w = maps.shape
    y, x = torch.meshgrid(torch.arange(h) * 8 + 4.0, torch.arange(w) * 8 + 4.0, indexing="ij")
    boxes = torch.stack([x - 12, y - 12, x + 12, y + 12], -1).flatten(0, 1)
    return {"boxes": boxes.expand(b, -1, -1), "logits": maps.flatten(2).transpose(1, 2)}


def as_list(out):
    """What is left for each picture where the model itself has chosen: the two surest, the other way round."""
    read = read_boxes(out)
    lists = []
    for boxes, logits in zip(read["boxes"], read["logits"], strict=True):
        best = torch.stack([logits[:, 1].argmax(), logits[:, 0].argmax()])
        best = best[logits[best].amax(1) > 0]
        lists.append({"boxes": boxes[best], "logits": logits[best]})
    return lists


def view(findings=read_boxes, **options):
    return isotherm.view_of(
        Squares().eval(), findings=findings, **{"names": ["red", "blue"], "overlap": 0.2, **FED, **options}
    )


def strongest(heatmap) -> tuple[float, float]:
    row, column = np.unravel_index(int(heatmap.values.argmax()), heatmap.values.shape)
    (point,) = heatmap.frame.points_to_source(torch.tensor([[column + 0.5, row + 0.5]], dtype=torch.float64))
    return float(point[0]), float(point[1])


@pytest.mark.parametrize("findings", [read_boxes, as_list], ids=["all candidates", "what was chosen"])
def test_findings_are_found_explained_and_judged_each_at_its_own_place(findings):
    maps = explain(view(findings, confidence=0.5), PICTURE)
    assert sorted(finding.label for finding in maps.findings) == ["blue", "red"]
    assert maps[0].meta["layer"] == "body"
    for heatmap, finding in zip(maps, maps.findings, strict=True):
        x, y = strongest(heatmap)
        x0, y0, x1, y1 = finding.box
        assert heatmap.label.startswith(finding.label)
        assert x0 <= x <= x1
        assert y0 <= y <= y1
    assert all(trust is not None for trust in maps.trust)
    assert [trust.verdict for trust in maps.trust] == ["believable"] * len(maps)


def test_of_candidates_at_one_place_the_surest_is_the_finding():
    near = view(confidence=0.2)
    inputs = near.prepare([PICTURE])
    found = near.find(near.run(inputs), inputs)
    assert found.confidence.tolist() == sorted(found.confidence.tolist(), reverse=True)
    assert len(near.with_confidence(0.99).find(near.run(inputs), inputs)) == 0
    loose = view(confidence=0.2, overlap=1.0)
    assert len(loose.find(loose.run(inputs), inputs)) > len(found)


def test_a_class_and_a_side_of_a_finding_can_be_asked_for():
    (blue,) = explain(view(confidence=0.5), PICTURE, target="blue", trust="off")
    assert 60 <= strongest(blue)[0] <= 84
    (second,) = explain(view(confidence=0.5), PICTURE, target=Detection(1), trust="off", method=RISE(masks=16))
    assert second.values.shape[0] > 1
    with pytest.raises(TargetError):
        explain(view(confidence=0.5), PICTURE, target="green", trust="off")


def test_a_picture_without_findings_says_so():
    nothing = explain(view(confidence=0.5), np.zeros_like(PICTURE))
    assert len(nothing) == 0
    assert "the model found nothing in this picture" in nothing.notes[0]


def test_a_changed_picture_with_no_candidate_at_all_says_no():
    chosen = view(as_list, confidence=0.5)
    inputs = chosen.prepare([PICTURE])
    found = chosen.find(chosen.run(inputs), inputs)
    pins = isotherm.cam.view.Pins(found.boxes.detach()[:1], found.classes[:1], found.candidate[:1])
    empty = inputs.with_tensor(torch.zeros_like(inputs.tensor))
    again = chosen.refind(chosen.run(empty), empty, pins)
    assert float(again.logits.detach()[0, int(found.classes[0])]) == pytest.approx(-20.0, abs=0.1)
    assert torch.equal(again.boxes, pins.boxes)


def test_confidence_counts_objectness_and_what_the_model_says_itself():
    boxes = torch.tensor([[0.0, 0, 4, 4], [8, 8, 12, 12]])
    logits = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    one = Candidates(boxes, logits, objectness=torch.tensor([0.0, -9.0]))
    assert kept(one, confidence=0.25, overlap=0.5, most=9, fixed=True).tolist() == [0]
    told = Candidates(boxes, logits, classes=torch.tensor([1, 1]), confidence=torch.tensor([0.3, 0.9]))
    assert kept(told, confidence=0.25, overlap=0.5, most=9, fixed=True).tolist() == [1, 0]
    assert kept(told, confidence=0.25, overlap=0.5, most=9, fixed=False).tolist() == [0, 1]
    assert best_fit(told, boxes[0], 0) == 0
    assert best_fit(Candidates(boxes[:0], logits[:0]), boxes[0], 0) is None


@pytest.mark.parametrize(
    ("findings", "message"),
    [
        (lambda out: out["rows"], r"findings failed \(KeyError: 'rows'\); it was given what Squares put out, a dict of"),
        (lambda out: out["maps"], r"findings gave a tensor \(1, 2, 8, 12\): no tensor is called boxes or logits; expected a dict with boxes"),
        (lambda out: {"boxes": torch.zeros(1, 3, 4), "scores": torch.zeros(1, 3)}, "unknown are scores"),
        (lambda out: (torch.zeros(1, 3, 4), torch.zeros(1, 2, 2)), r"findings gave boxes \(1, 3, 4\), logits \(1, 2, 2\)"),
        (lambda out: [], r"findings gave a list of 0 for 1 picture\(s\)"),
    ],
)  # fmt: skip
def test_findings_of_another_form_are_refused_with_what_was_expected(findings, message):
    with pytest.raises(AdapterError, match=message):
        view(findings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 0.5}, "confidence= is of a detector's findings; give findings="),
        ({"findings": 3}, "findings is 3; expected a function"),
        ({"findings": read_boxes, "overlap": 2.0}, "overlap is 2.0; expected a number from 0 to 1"),
        ({"findings": read_boxes, "names": ["red"]}, "1 class names were given for the 2 logits of each candidate"),
    ],
)  # fmt: skip
def test_options_of_a_detector_that_do_not_fit(options, message):
    with pytest.raises(OptionError, match=message):
        isotherm.view_of(Squares().eval(), **FED, **options)


def test_what_is_no_module_has_no_view():
    with pytest.raises(AdapterError, match="an object of the class int is not a model"):
        isotherm.view_of(3)
