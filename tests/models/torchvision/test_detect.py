"""torchvision's detectors as views: the model's own findings to the bit, each with its candidate and a graph."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn
from torchvision.models import detection as tvd

from isotherm.api import explain
from isotherm.cam.attribute import attribute
from isotherm.cam.methods import hirescam
from isotherm.cam.scores import Detection
from isotherm.cam.view import Detections, Pins, View
from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.jobs.explain.outputs import lines_of
from isotherm.models.torchvision import view as adapter
from isotherm.models.torchvision.rcnn import NOWHERE, _Pasted
from rigs.breadth import wide
from rigs.torchvision_detectors import BUILD, LEVELS, PICTURES, build, pyramid_to_p7
from rigs.view_checks import assert_block_moves_its_cell, assert_state_unchanged, record_at, state_of, top_scores

FIRST = ("keypoint", "retinanet", "fcos", "ssdlite")
"""Two stages, and one: by sigmoid, with centreness, by softmax."""


@pytest.fixture(scope="module")
def views():
    made = {}

    def get(name) -> View:
        if name not in made:
            made[name] = adapter.wrap(build(name))
        return made[name]

    return get


def tensors(pictures):
    return [torch.from_numpy(p).permute(2, 0, 1).float() / 255 for p in pictures]


@pytest.mark.parametrize("name", [*FIRST, *wide(name for name in BUILD if name not in FIRST)])
def test_findings_are_the_models_own_and_carry_gradient_to_the_pyramid(views, name):
    view = views(name)
    assert isinstance(view, View)
    assert view.default_method == "hirescam"
    with torch.no_grad():
        expected = view.model(tensors(PICTURES))
    assert sum(len(e["boxes"]) for e in expected) >= 2  # else nothing would be compared
    before = state_of(view.model)
    inputs, recording = record_at(view, PICTURES)
    found = view.find(recording.raw, inputs)
    assert isinstance(found, Detections)
    sizes = [tuple(s) for s in inputs.extra["image_sizes"].tolist()]
    for i, one in enumerate(expected):
        mine = found.picture == i
        result = [{"boxes": found.boxes[mine].detach()}]
        rescaled = view.model.transform.postprocess(result, [sizes[i]], [PICTURES[i].shape[:2]])[0]["boxes"]
        assert torch.equal(rescaled, one["boxes"])
        assert torch.equal(found.classes[mine], one["labels"])
        assert torch.equal(found.confidence[mine], one["scores"])
        torch.testing.assert_close(
            inputs.frame[i].boxes_to_source(found.boxes[mine].detach()), one["boxes"], rtol=0, atol=1e-4
        )
    # the confidence reported is that of the very candidate whose logits are handed out
    row = torch.arange(len(found))
    if name in ("retinanet",):
        again = found.logits.sigmoid()[row, found.classes]
    elif name == "fcos":
        again = (found.logits.sigmoid()[row, found.classes] * found.objectness.sigmoid()).sqrt()
    else:
        again = found.logits.softmax(-1)[row, found.classes]
    torch.testing.assert_close(again.detach(), found.confidence)
    assert found.activation == ("sigmoid" if name in ("retinanet", "fcos") else "softmax")
    assert found.confidence_of_class == (name != "fcos")
    assert len(view.auto_layers().layers) == LEVELS[name]
    scores, picture = top_scores(found)
    some = torch.tensor([0, len(found) - 1])
    # a box that is cut at all four sides does not move, so the boxes are looked at together
    sides = (found.boxes * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().expand(1)
    gradients = recording.gradients(scores[some], picture[some], keep_graph=True)
    assert bool((torch.stack([g.flatten(1).abs().sum(1) for g in gradients]).sum(0) > 0).all())
    gradients = recording.gradients(sides, picture[:1])
    assert sum(float(g.abs().sum()) for g in gradients) > 0
    assert_state_unchanged(view, before)


@pytest.mark.parametrize("name", ["fcos", "ssdlite", *wide(["retinanet"])])
def test_the_same_anchor_is_read_again(views, name):
    view = views(name)
    inputs, recording = record_at(view, PICTURES, gradient=False)
    found = view.find(recording.raw, inputs)
    rows = torch.tensor([len(found) - 1, 0, 1])
    picked = found.take(rows)
    again_inputs = inputs.take(picked.picture)
    pins = Pins(picked.boxes, picked.classes, picked.candidate)
    with torch.no_grad():
        again = view.refind(view.run(again_inputs), again_inputs, pins)
    torch.testing.assert_close(again.logits, picked.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(again.boxes, picked.boxes, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(again.confidence, picked.confidence, rtol=1e-4, atol=1e-5)
    assert torch.equal(again.picture, torch.arange(3))
    assert torch.equal(again.classes, picked.classes)
    if name == "fcos":
        torch.testing.assert_close(again.objectness, picked.objectness, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mask", "keypoint", *wide(["faster"])])
def test_two_stage_models_score_the_pinned_box_itself(views, name):
    view = views(name)
    inputs, recording = record_at(view, PICTURES, gradient=False)
    found = view.find(recording.raw, inputs)
    rows = torch.tensor([len(found) - 1, 0])
    picked = found.take(rows)
    again_inputs = inputs.take(picked.picture)
    sizes = [tuple(s) for s in again_inputs.extra["image_sizes"].tolist()]
    heads = view.model.roi_heads
    with torch.no_grad():
        raw = view.run(again_inputs)
        again = view.refind(raw, again_inputs, Pins(picked.boxes, picked.classes, picked.candidate))
        pooled = heads.box_roi_pool(raw.features, list(picked.boxes.split(1)), sizes)
        logits, _ = heads.box_predictor(heads.box_head(pooled))
    torch.testing.assert_close(again.logits, logits)
    torch.testing.assert_close(again.objectness, picked.objectness, rtol=1e-4, atol=1e-4)
    if name == "mask":
        torch.testing.assert_close(again.masks(), picked.masks(), rtol=1e-3, atol=1e-3)
    if name == "keypoint":
        torch.testing.assert_close(again.keypoints, picked.keypoints, rtol=1e-3, atol=1e-2)


def test_objectness_is_that_of_the_anchor_that_proposed(views):
    view = views("faster")
    inputs, recording = record_at(view, PICTURES)
    raw = recording.raw
    # torchvision's own first stage, on the same features
    proposals, _ = view.model.rpn(view._image_list(inputs), raw.features)
    for mine, own in zip(raw.proposals.boxes, proposals, strict=True):
        assert torch.equal(mine, own)
    coder, anchors = (
        view.model.rpn.box_coder,
        view.model.rpn.anchor_generator(view._image_list(inputs), list(raw.features.values())),
    )
    objectness, deltas = view.model.rpn.head(list(raw.features.values()))
    from torchvision.models.detection.rpn import concat_box_prediction_layers

    _, deltas = concat_box_prediction_layers(objectness, deltas)
    decoded = coder.decode(deltas, anchors).view(2, -1, 4)
    found = view.find(raw, inputs)
    for i in range(2):
        from torchvision.ops import clip_boxes_to_image

        size = tuple(inputs.extra["image_sizes"][i].tolist())
        assert torch.equal(clip_boxes_to_image(decoded[i, raw.proposals.anchor[i]], size), raw.proposals.boxes[i])
    assert found.objectness.requires_grad
    gradients = recording.gradients(found.objectness[:2], found.picture[:2].cpu())
    assert sum(float(g.abs().sum()) for g in gradients) > 0


def test_masks_are_the_models_own(views):
    view = views("mask")
    inputs, recording = record_at(view, PICTURES)
    raw = recording.raw
    found = view.find(raw, inputs)
    sizes = [tuple(s) for s in inputs.extra["image_sizes"].tolist()]
    with torch.no_grad():
        own, _ = view.model.roi_heads(raw.features, list(raw.proposals.boxes), sizes)
    row = torch.arange(len(found))
    torch.testing.assert_close(
        raw.mask_logits[row, found.classes].sigmoid().detach(), torch.cat([o["masks"][:, 0] for o in own])
    )
    masks = found.masks()
    assert masks.shape == (len(found), *inputs.tensor.shape[2:])
    largest = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1).argmax(keepdim=True)
    gradients = recording.gradients(masks[largest].amax((1, 2)), found.picture[largest].cpu())
    assert sum(float(g.abs().sum()) for g in gradients) > 0


def test_masks_lie_over_the_input_where_torchvision_pastes_them():
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    wedge = (x - y / 2 - 6)[None].repeat(2, 1, 1)  # slanted, so that a transposed or mirrored paste shows
    logits = torch.stack([-wedge, wedge], 1)
    boxes = torch.tensor([[8.0, 12.0, 71.0, 52.0], [-10.0, 30.0, 50.0, 90.0]])
    pasted = _Pasted(logits, torch.tensor([1, 1]), boxes, (80, 96))()
    own = paste_masks_in_image(logits[:, 1:].sigmoid(), boxes, (80, 96))[:, 0] > 0.5
    mine = pasted > 0
    assert (
        float(((mine & own).sum((1, 2)) / (mine | own).sum((1, 2))).min()) > 0.92
    )  # torchvision rounds boxes to whole pixels
    # outside of the box nothing, inside exactly the bilinear value: cell centre (14, 14) of 28 is the middle of the box
    assert bool((pasted[0, :12] == NOWHERE).all())
    assert bool((pasted[0, :, :8] == NOWHERE).all())
    thin = _Pasted(
        logits, torch.tensor([1, 0]), torch.tensor([[8.6, 12.0, 8.9, 52.0], [95.9, 79.8, 96.0, 80.0]]), (80, 96)
    )()
    assert [int((m > NOWHERE).sum()) for m in thin] == [40, 1]
    middle = pasted[0, 31:33, 39].mean()  # the box's middle is (39.5, 32)
    torch.testing.assert_close(middle, wedge[0, 13:15, 13:15].mean(), atol=1e-4, rtol=0)


def test_keypoints_are_the_models_own(views):
    view = views("keypoint")
    with torch.no_grad():
        expected = view.model(tensors(PICTURES))
    inputs, recording = record_at(view, PICTURES)
    found = view.find(recording.raw, inputs)
    assert found.keypoints.shape == (len(found), 17, 3)
    for i, one in enumerate(expected):
        mine = found.keypoints[found.picture == i].detach()
        assert torch.equal(mine[..., 2], one["keypoints_scores"])
        source = inputs.frame[i].points_to_source(mine[..., :2].flatten(0, 1)).unflatten(0, mine.shape[:2])
        torch.testing.assert_close(source, one["keypoints"][..., :2], rtol=0, atol=1e-3)
    gradients = recording.gradients(found.keypoints[:1, 3, 2], found.picture[:1].cpu())
    assert sum(float(g.abs().sum()) for g in gradients) > 0


@pytest.mark.parametrize("name", ["faster", "ssdlite"])
def test_prepared_pixels_and_frames_are_those_of_the_models_transform(views, name):
    view = views(name)
    view.model.train()  # whose transform would draw sizes at random
    try:
        inputs = view.prepare(PICTURES)
    finally:
        view.model.eval()
    batch, _ = view.model.transform(tensors(PICTURES))
    assert torch.equal(inputs.tensor, batch.tensors)
    assert [tuple(s) for s in inputs.extra["image_sizes"].tolist()] == [tuple(s) for s in batch.image_sizes]
    for frame, (h, w), picture in zip(inputs.frame, batch.image_sizes, PICTURES, strict=True):
        corner = frame.points_to_source(torch.tensor([[float(w), float(h)]]))
        assert corner.tolist() == [[float(picture.shape[1]), float(picture.shape[0])]]


@pytest.mark.parametrize(
    ("name", "layer", "cells"),
    [
        ("faster", "backbone.body.layer2", 1.0),
        ("faster", "backbone.fpn.layer_blocks.2", 1.0),
        ("retinanet", "backbone.fpn.layer_blocks.1", 1.0),
        ("ssdlite", "backbone.features.0", 1.5),
    ],
)
@pytest.mark.parametrize("at", [(76, 20), (20, 52)])
def test_a_block_in_the_picture_moves_the_cell_that_the_frame_says(views, name, layer, cells, at):
    assert_block_moves_its_cell(views(name), layer, (70, 90), at, cells=cells)


def test_shared_heads_run_once_per_level_and_each_run_can_be_chosen(views):
    view = views("retinanet")
    inputs, recording = record_at(view, PICTURES, ["head.classification_head.conv.3.0@1"])
    found = view.find(recording.raw, inputs)
    output = recording.calls[0].output
    assert output.shape[2:] == (10, 8)
    layout = view.layout("head.classification_head.conv.3.0@1", output, inputs)
    assert layout.order == "nchw"
    levels = recording.raw.levels
    mine = torch.where((found.candidate >= levels[0]) & (found.candidate < levels[0] + levels[1]))[0][:1]
    (gradient,) = recording.gradients(found.logits[mine, found.classes[mine]], found.picture[mine].cpu())
    # the last convolution is 3 x 3: the gradient of one finding lies in its anchor's cell and its neighbours
    assert 0 < int((gradient[0].abs().sum(0) > 0).sum()) <= 9
    cell = (int(found.candidate[mine]) - levels[0]) // 9
    rows, columns = torch.where(gradient[0].abs().sum(0) > 0)
    assert int(rows.min()) <= cell // 8 <= int(rows.max())
    assert int(columns.min()) <= cell % 8 <= int(columns.max())


def test_a_confidence_threshold_drops_the_weaker_findings_and_nothing_else(views):
    view = views("ssdlite")
    inputs, recording = record_at(view, PICTURES, gradient=False)
    found = view.find(recording.raw, inputs)
    limit = float(found.confidence.median())
    strict = adapter.wrap(view.model, confidence=limit)
    kept = strict.find(recording.raw, inputs)
    sure = found.confidence >= limit
    assert 0 < len(kept) < len(found)
    assert torch.equal(kept.candidate, found.candidate[sure])


def test_another_size_leaves_the_models_own_transform_alone(views):
    model = views("faster").model
    view = adapter.wrap(model, size=64)
    assert min(view.prepare(PICTURES[:1]).extra["image_sizes"][0].tolist()) == 64
    assert model.transform.min_size == (96,)
    fixed = adapter.wrap(model, size=(64, 128))
    assert tuple(fixed.prepare(PICTURES).tensor.shape[2:]) == (64, 128)
    assert model.transform.fixed_size is None


def test_a_picture_without_findings_gives_none():
    model = build("mask")
    model.roi_heads.score_thresh = 1.0
    view = adapter.wrap(model)
    inputs, recording = record_at(view, PICTURES)
    found = view.find(recording.raw, inputs)
    assert len(found) == 0
    assert found.masks().shape == (0, *inputs.tensor.shape[2:])


def test_names_are_cocos_for_its_number_of_labels():
    view = adapter.load("ssdlite320_mobilenet_v3_large", weights="none", names=None)
    assert view.names[17] == "cat"
    assert view.names[0] == "__background__"
    assert list(adapter.wrap(build("keypoint")).names) == ["no person", "person"]


def test_a_file_with_other_classes_is_fitted(tmp_path):
    from safetensors.torch import save_file

    fpath = tmp_path / "mine.safetensors"
    save_file(build("ssdlite").state_dict(), fpath)
    view = adapter.load("ssdlite320_mobilenet_v3_large", weights=fpath)
    assert list(view.names) == [f"class {i}" for i in range(5)]


def test_half_precision_and_wrapped_detectors():
    model = build("retinanet")
    assert adapter.wrap(nn.DataParallel(model)).model is model
    view = adapter.wrap(model.to(torch.bfloat16))
    inputs, recording = record_at(view, PICTURES[:1])
    assert inputs.tensor.dtype == torch.bfloat16
    found = view.find(recording.raw, inputs)
    assert len(found)
    scores, picture = top_scores(found)
    assert sum(float(g.abs().sum()) for g in recording.gradients(scores[:1], picture[:1])) > 0


class OwnSelection(tvd.RetinaNet):
    def postprocess_detections(self, *args):
        return super().postprocess_detections(*args)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: adapter.wrap(OwnSelection(pyramid_to_p7(), num_classes=5)),
            AdapterError,
            "OwnSelection replaces torchvision's postprocess_detections",
        ),
        (lambda: adapter.wrap(build("ssdlite"), names=["a"]), OptionError, "1 class names were given for the 5 labels"),
        (lambda: adapter.wrap(build("ssdlite"), geometry="crop"), OptionError, "geometry= does not apply"),
        (lambda: adapter.wrap(build("ssdlite"), confidence=30.0), OptionError, "from 0 to 1"),
        (lambda: adapter.load("ssdlite320_mobilenet_v3_large"), WeightsError, "could not be fetched"),
    ],
)
def test_mistakes_say_what_was_given_and_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", ["mask", "fcos"])
def test_a_finding_is_explained_and_scored_again_through_the_view(views, name):
    view = views(name)
    inputs = view.prepare(PICTURES[:1] if name == "mask" else PICTURES)
    parts = ("class", "box", "objectness", "mask") if name == "mask" else ("class", "box", "objectness")
    explained = attribute(view, inputs, methods=[hirescam], score=Detection(0, of=parts))
    targets = explained.targets
    assert targets.part == parts * len(inputs.frame)
    assert explained.maps[0].values.shape[0] == len(targets)
    amount = explained.maps[0].values.flatten(1).abs().sum(1)
    assert bool((amount[[p != "box" for p in targets.part]] > 0).all())  # a box cut at all sides does not move
    again = explained.rerun.scores(inputs.tensor[targets.picture], torch.arange(len(targets)))
    same = torch.tensor([what in (parts if name == "fcos" else ("objectness", "mask")) for what in targets.part])
    torch.testing.assert_close(again[same], targets.scores.detach()[same], rtol=1e-3, atol=1e-3)
    # the evidence of one finding lies on the pyramid near its box, not all over the picture
    if name == "mask":
        box = targets.boxes[0]
        frame = explained.maps[0].frame[0]
        corner = frame.points_to_source(torch.nonzero(explained.maps[0].values[0].abs() > 0).flip(1).double() + 0.5)
        inside = inputs.frame[0].points_from_source(corner)
        assert float(inside[:, 0].min()) > float(box[0]) - 48
        assert float(inside[:, 0].max()) < float(box[2]) + 48


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("retinanet", r"^   0  class \d [01]\.\d\d by sigmoid, logit -?\d+\.\d\d  "),
        ("fcos", r"^   0  class \d [01]\.\d\d, \d+ % by sigmoid, logit -?\d+\.\d\d  "),
        ("ssdlite", r"^   0  class \d [01]\.\d\d by softmax, logit -?\d+\.\d\d  "),
    ],
)
def test_a_findings_logit_stands_beside_what_makes_its_classs_probability(views, name, words):
    maps = explain(views(name), PICTURES[0], target=0, trust="off")
    assert any(re.match(words, line) for line in lines_of(maps))
    meta = maps[0].meta
    if name != "fcos":
        assert "probability" not in meta  # it is the confidence
    else:  # centreness goes into the confidence, and the class's probability is told beside it
        assert meta["probability"] == pytest.approx(1 / (1 + math.exp(-meta["score"])), abs=1e-6)
        assert abs(meta["probability"] - meta["confidence"]) > 0.01
