"""Mask R-CNN's and Keypoint R-CNN's parts of a finding: class, box, mask, all, and a keypoint by its name."""

from __future__ import annotations

import pytest
import torch

from isotherm.api import explain
from isotherm.cam.scores import Detection
from isotherm.errors import UnfitTargetError
from isotherm.models.torchvision import view as adapter
from rigs.torchvision_detectors import PICTURES, build


@pytest.fixture(scope="module")
def masks():
    return adapter.wrap(build("mask"))


@pytest.fixture(scope="module")
def keypoints():
    return adapter.wrap(build("keypoint"))


def test_class_box_and_mask_of_a_finding_are_explained_apart_and_together(masks):
    everything = explain(masks, PICTURES[0], target=Detection(0, of="all"), trust="off")
    assert [m.meta["part"] for m in everything] == ["class", "box", "mask", "objectness"]
    assert all(float(m.values.abs().max()) > 0 for m in everything)
    alone = explain(masks, PICTURES[0], target=Detection(0, of="mask"), trust="off")[0]
    near = dict(rtol=1e-3, atol=1e-3 * float(alone.values.abs().max()))
    torch.testing.assert_close(alone.values, everything[2].values, **near)
    inputs = masks.prepare([PICTURES[0]])
    with torch.no_grad():
        found = masks.find(masks.run(inputs), inputs)
    (mask,) = found.masks(torch.tensor([0]))
    assert everything[2].meta["score"] == pytest.approx(float(mask[mask > 0].mean()), rel=1e-4)


def test_a_keypoint_has_its_name_and_its_number(keypoints):
    by_name = explain(keypoints, PICTURES[0], target=Detection(0, of="keypoint", keypoint="left_wrist"), trust="off")[0]
    assert by_name.label.endswith("keypoint left_wrist")
    inputs = keypoints.prepare([PICTURES[0]])
    with torch.no_grad():
        found = keypoints.find(keypoints.run(inputs), inputs)
    assert by_name.meta["score"] == pytest.approx(float(found.keypoints[0, 9, 2]), rel=1e-4)
    by_number = Detection(0, of="keypoint", keypoint=9)(found, inputs)
    assert by_number.labels == (by_name.label,)
    for unknown, words in (("tail", "no class 'tail'"), (17, "keypoint 17 does not exist"), (None, "keypoint None")):
        with pytest.raises(UnfitTargetError, match=words):
            Detection(0, of="keypoint", keypoint=unknown)(found, inputs)
