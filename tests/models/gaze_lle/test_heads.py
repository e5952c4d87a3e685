"""Any detector as a detector of heads."""

from __future__ import annotations

from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm import Frame
from isotherm.cam.view import Classification, Detections, Inputs
from isotherm.errors import AdapterError, ShapeError
from isotherm.models.choose import open_view
from isotherm.models.gaze_lle import DetectedHeads, HeadBoxes, HeadDetector


class Found:
    """A view of a detector that finds three things, letterboxed into 32 x 32 pixels."""

    name, default_method = "stub", "gradcam"
    model = torch.nn.Identity()
    refind = auto_layers = layout = print

    def __init__(self, names=("person", "Head")) -> None:
        self.names = names

    def prepare(self, pictures):
        frame = Frame.letterbox(pictures[0].shape[:2], (32, 32))
        return Inputs(torch.zeros(1, 3, 32, 32), frame.expanded(1))

    def run(self, inputs):
        return inputs

    def find(self, raw, inputs):
        boxes = torch.tensor([[0.0, 8.0, 16.0, 24.0], [4.0, 10.0, 8.0, 14.0], [28.0, 20.0, 40.0, 40.0]])
        none = torch.zeros(3, 2)
        return Detections(
            torch.zeros(3, dtype=torch.int64),
            boxes,
            none,
            torch.tensor([0, 1, 1]),
            torch.tensor([0.9, 0.8, 0.7]),
            torch.arange(3),
            self.names,
        )


def test_findings_called_head_come_in_pixels_of_the_picture_and_end_at_its_border():
    finder = DetectedHeads(Found())
    assert isinstance(finder, HeadDetector)
    found = finder.heads(np.zeros((40, 80, 3), np.uint8), 0)  # 2.5 source pixels each, 8 rows of padding above
    assert found.boxes.tolist() == [[10.0, 5.0, 20.0, 15.0], [70.0, 30.0, 80.0, 40.0]]
    assert found.scores.tolist() == pytest.approx([0.8, 0.7])
    assert DetectedHeads(Found(), names=("person",)).heads(
        np.zeros((40, 80, 3), np.uint8), 0
    ).scores.tolist() == pytest.approx([0.9])


def test_a_real_detector_gives_the_boxes_that_it_finds_itself():
    """The one that ships, whose gears stand for heads."""
    view = open_view("detector").view
    picture = np.asarray(Image.open(str(files("isotherm") / "assets" / "scene-1.jpg")).convert("RGB"))
    heads = DetectedHeads(view, names=("gear",)).heads(picture, 0)
    inputs = view.prepare([picture])
    with torch.no_grad():
        every = view.find(view.run(inputs), inputs)
    own = [i for i, c in enumerate(every.classes.tolist()) if every.names[c] == "gear"]
    assert 0 < len(heads) == len(own) < len(every)
    h, w = picture.shape[:2]
    expected = inputs.frame[0].boxes_to_source(every.boxes[own].double())
    expected = expected.clamp(min=0).minimum(torch.tensor([w, h, w, h]))
    torch.testing.assert_close(heads.boxes.double(), expected, atol=1e-3, rtol=0)


def test_a_detector_of_people_is_refused_as_bodies_are_no_heads():
    with pytest.raises(AdapterError, match=r"has no class head or face; it has person, car.*whole bodies"):
        DetectedHeads(Found(names=("person", "car")))


def test_a_classifier_finds_no_heads():
    view = Found()
    view.find = lambda raw, inputs: Classification(torch.zeros(1, 2), view.names)
    with pytest.raises(AdapterError, match="stub is a classifier"):
        DetectedHeads(view).heads(np.zeros((4, 4, 3), np.uint8), 0)


def test_boxes_are_checked():
    assert len(HeadBoxes.none()) == 0
    assert HeadBoxes.none()
    assert not isinstance(SimpleNamespace(), HeadDetector)
    with pytest.raises(ShapeError, match="is no box"):
        HeadBoxes(torch.tensor([[3.0, 1.0, 2.0, 2.0]]), torch.ones(1))
    with pytest.raises(ShapeError, match="for 2 scores"):
        HeadBoxes(torch.tensor([[1.0, 1.0, 2.0, 2.0]]), torch.ones(2))
