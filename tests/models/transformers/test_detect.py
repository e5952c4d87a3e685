"""transformers' query-based detectors: findings are the processor's own, each with its query, logits and graph."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers as hf

from isotherm.cam.attribute import attribute
from isotherm.cam.capture import record
from isotherm.cam.methods import hirescam
from isotherm.cam.scores import Detection
from isotherm.cam.view import Pins, View
from isotherm.errors import AdapterError, LayerError, OptionError
from isotherm.models.transformers.detect import overlaps
from isotherm.models.transformers.view import wrap
from isotherm.relevance.modules import resolve
from rigs.breadth import wide
from rigs.transformers_models import make, picture
from rigs.transformers_views import activation, hit, processor, view_of

QUICK = ("detr", "rt_detr", "d_fine", "deformable_detr", "yolos")
FAMILIES = [
    "detr",
    "deformable_detr",
    "rt_detr",
    "yolos",
    *wide(["detr_segmentation", "conditional_detr", "rt_detr_v2", "d_fine"]),
]
"""Queries that are fixed, that read several levels, that are chosen anew, and that stand among the tokens; then their kin."""
SOFTMAX = ("detr", "detr_segmentation", "yolos")
PICTURES = (picture(90, 150), picture(120, 100, 1))


def threshold(view, inputs) -> float:
    """A confidence that half of all candidates reach."""
    return float(view.find(view.run(inputs), inputs).confidence.median())


@pytest.mark.parametrize("family", FAMILIES)
def test_findings_are_the_processors_own(family):
    everything = view_of(family)
    assert isinstance(everything, View)
    inputs = everything.prepare(PICTURES)
    with torch.no_grad():
        least = threshold(everything, inputs)
        view = view_of(family, model=everything.model, confidence=least)
        raw = view.run(inputs)
        found = view.find(raw, inputs)
        own_inputs = processor(family)(images=list(PICTURES), return_tensors="pt")
        if family == "yolos":
            del own_inputs["pixel_mask"]
        output = everything.model(**own_inputs)
    decode = processor(family).post_process_object_detection
    # in input pixels to the bit; in source pixels up to the rounding of the frame
    in_input = decode(output, threshold=least, target_sizes=[tuple(s) for s in inputs.extra["sizes"].tolist()])
    in_source = decode(output, threshold=least, target_sizes=[p.shape[:2] for p in PICTURES])
    assert 0 < len(found) < len(everything.find(raw, inputs))
    for row in range(2):
        mine = found.take(torch.nonzero(found.picture == row).flatten())
        assert torch.equal(mine.confidence, in_input[row]["scores"])
        assert torch.equal(mine.classes, in_input[row]["labels"])
        assert torch.equal(mine.boxes, in_input[row]["boxes"])
        assert torch.equal(mine.logits, output.logits[row, mine.candidate])
        source = inputs.frame[row].boxes_to_source(mine.boxes.double())
        torch.testing.assert_close(source.float(), in_source[row]["boxes"], atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_explain_the_confidence_and_names_fit(family):
    view = view_of(family)
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
    nothing = ("no object",) if family in SOFTMAX else ()
    assert tuple(view.names) == (*(f"LABEL_{i}" for i in range(4)), *nothing)
    chance = found.logits.softmax(-1) if nothing else found.logits.sigmoid()
    told = chance[torch.arange(len(found)), found.classes]
    torch.testing.assert_close(told, found.confidence)
    assert found.activation == ("softmax" if nothing else "sigmoid")
    assert int(found.classes.max()) < 4


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_every_seen_cell_of_the_chosen_layers(family):
    view = view_of(family)
    choice = view.auto_layers()
    inputs = view.prepare([picture(90, 150)])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(choice.layers)))
    found = view.find(recording.raw, inputs)
    gradients = recording.gradients(found.logits[:1, 0], found.picture[:1])
    for layer, gradient in zip(choice.layers, gradients, strict=True):
        cells = view.layout(layer, gradient, inputs).to_grid(gradient)
        assert float((cells != 0).any(1).float().mean()) == 1.0
    # boxes carry gradient too
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(choice.layers)))
    found = view.find(recording.raw, inputs)
    assert all(float(g.abs().max()) > 0 for g in recording.gradients(found.boxes[:1].sum(1), found.picture[:1]))


def test_the_layers_chosen():
    assert view_of("detr").auto_layers().layers == ("model.encoder.layers.1",)
    assert view_of("detr_segmentation").auto_layers().layers == ("detr.model.encoder.layers.1",)
    assert view_of("deformable_detr").auto_layers().layers == tuple(f"model.input_proj.{i}" for i in range(4))
    assert view_of("rt_detr").auto_layers().layers == tuple(f"model.encoder_input_proj.{i}" for i in range(3))
    assert view_of("yolos").auto_layers().layers == ("vit.encoder.layer.1.layernorm_before",)


@pytest.mark.parametrize("family", QUICK)
def test_a_bright_block_moves_the_cell_that_the_frame_says(family):
    view = view_of(family)
    for layer in view.auto_layers().layers:
        assert max(hit(view, layer, (80, 90))) <= (0.4 if family == "yolos" else 1.0)


def test_detr_tokens_are_the_grid_that_was_flattened():
    view = view_of("detr")
    inputs = view.prepare([picture(90, 150)])
    with pytest.raises(LayerError, match="run it first"):
        view.layout("model.encoder.layers.1", torch.zeros(1, 12, 32), inputs)
    grid, frame = activation(view, "model.encoder.layers.1", inputs)
    assert tuple(inputs.tensor.shape[2:]) == (96, 160)
    assert tuple(grid.shape[2:]) == (3, 5) == frame.size
    # as many queries as cells would fit by accident: the decoder is out of scope
    with pytest.raises(LayerError, match="nothing declares"):
        view.layout("model.decoder.layers.1", torch.zeros(1, 15, 32), inputs)


def test_yolos_detection_tokens_stand_behind_the_patches():
    view = view_of("yolos")
    inputs = view.prepare([picture(90, 150)])
    layout = view.layout("vit.encoder.layer.0", torch.zeros(1, 1 + 60 + 7, 32), inputs)
    assert (layout.prefix, layout.grid, layout.suffix) == (1, (6, 10), 7)
    tokens = torch.arange(68.0).view(1, 68, 1)
    assert layout.to_grid(tokens)[0, 0].flatten().tolist() == list(range(1, 61))


@pytest.mark.parametrize("family", ["detr", "yolos", "conditional_detr"])
def test_fixed_queries_are_read_again_as_they_are(family):
    view = view_of(family)
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
        pins = Pins(found.boxes[[0, -1]], found.classes[[0, -1]], found.candidate[[0, -1]])
        changed = inputs.with_tensor(inputs.tensor.flip(-1))
        raw = view.run(changed)
        again = view.refind(raw, changed, pins)
    assert torch.equal(again.candidate, pins.candidate)
    assert torch.equal(again.logits, raw.logits[torch.arange(2), pins.candidate])
    assert torch.equal(again.classes, pins.classes)
    assert again.picture.tolist() == [0, 1]


@pytest.mark.parametrize("family", ["rt_detr", "rt_detr_v2", "d_fine", "deformable_detr"])
def test_queries_that_are_chosen_anew_are_found_by_place_and_class(family):
    view = view_of(family)
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
        rows = torch.stack([torch.nonzero(found.picture == i).flatten()[1] for i in range(2)])
        pins = Pins(found.boxes[rows], found.classes[rows], found.candidate[rows])
        # in the same picture, in the same order, the finding finds itself or a likelier one of its class at its place
        same = view.refind(raw, inputs, pins)
        boxes, chance = view.boxes(raw, inputs), raw.logits.sigmoid()
        for i in range(2):
            value = overlaps(boxes[i : i + 1], pins.boxes[i : i + 1])[0] * chance[i, :, pins.classes[i]]
            assert float(value[same.candidate[i]]) == float(value.max())
        # numbered in another order it is the same finding
        order = torch.arange(9).flip(0)
        turned = copy.copy(raw)
        turned.logits, turned.pred_boxes = raw.logits[:, order], raw.pred_boxes[:, order]
        other = view.refind(turned, inputs, pins)
    assert torch.equal(other.boxes, same.boxes)
    assert torch.equal(other.candidate, 8 - same.candidate)


def test_a_pin_that_nothing_overlaps_takes_the_likeliest():
    view = view_of("rt_detr")
    inputs = view.prepare([PICTURES[0]])
    with torch.no_grad():
        raw = view.run(inputs)
        pins = Pins(torch.tensor([[1000.0, 1000, 1001, 1001]]), torch.tensor([2]), torch.tensor([0]))
        again = view.refind(raw, inputs, pins)
    assert int(again.candidate) == int(raw.logits[0, :, 2].argmax())


def test_detr_masks_cover_the_input():
    view = view_of("detr_segmentation")
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
    masks = found.masks()
    assert masks.shape == (len(found), *inputs.tensor.shape[-2:])
    own = torch.nn.functional.interpolate(
        raw.pred_masks, size=tuple(inputs.tensor.shape[-2:]), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(masks[3], own[0, found.candidate[3]])
    assert view_of("detr").find(view_of("detr").run(inputs), inputs).masks is None


@pytest.mark.parametrize("family", ["detr", "rt_detr", "yolos", *wide(["d_fine", "deformable_detr"])])
def test_maps_of_findings_and_nothing_left_behind(family):
    model = make(family).train()
    with torch.no_grad():  # transformers puts hooks of its own into some models when they first run
        model(torch.zeros(1, 3, 128, 128))
    before = copy.deepcopy(model.state_dict())
    flags = {n: (m.training, len(m._forward_hooks)) for n, m in model.named_modules()}
    view = view_of(family, model=model)
    found = attribute(view, view.prepare([PICTURES[0]]), methods=[hirescam], score=Detection((0, 2)))
    assert found.maps[0].values.shape[0] == 2
    assert bool(found.maps[0].values.isfinite().all())
    assert float((found.maps[0].values[0] - found.maps[0].values[1]).abs().max()) > 0
    again = found.rerun.scores(view.prepare([PICTURES[0]]).tensor.expand(2, -1, -1, -1), torch.arange(2))
    if family in ("detr", "yolos"):
        torch.testing.assert_close(again, found.targets.scores.detach(), rtol=1e-4, atol=1e-4)
    now = model.state_dict()
    assert all(torch.equal(v, before[k]) for k, v in now.items() if "num_batches" not in k)
    assert {n: (m.training, len(m._forward_hooks)) for n, m in model.named_modules()} == flags
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("family", ["detr", "rt_detr", "yolos"])
def test_bfloat16(family):
    view = view_of(family, model=make(family).to(torch.bfloat16))
    inputs = view.prepare([PICTURES[0]])
    with torch.no_grad():
        output = view.run(inputs)
        found = view.find(output, inputs)
    own = processor(family).post_process_object_detection(
        output, threshold=0.0, target_sizes=[tuple(s) for s in inputs.extra["sizes"].tolist()]
    )[0]
    assert torch.equal(found.confidence, own["scores"].float())
    torch.testing.assert_close(found.boxes, own["boxes"].float(), atol=0.5, rtol=0.01)
    maps = attribute(view, inputs, methods=[hirescam], score=Detection(0)).maps[0].values
    assert bool(maps.isfinite().all())
    assert float(maps.abs().max()) > 0


def test_gradient_of_one_picture_is_that_of_the_same_in_a_batch():
    """torch's batch norm hands wrong gradients on for a batch of one whose map was made into tokens."""
    view = view_of("rt_detr")
    layer = ["model.encoder.pan_blocks.1"]
    gradients = []
    for pictures in ([PICTURES[0]], [PICTURES[0], PICTURES[1]]):
        inputs = view.prepare(pictures)
        recording = record(view.model, lambda inputs=inputs: view.run(inputs), resolve(view.model, layer))
        found = view.find(recording.raw, inputs)
        row = int(torch.nonzero(found.picture == 0)[0])
        (gradient,) = recording.gradients(found.logits[row : row + 1, 0], found.picture[row : row + 1])
        gradients.append(gradient[0])
    assert float(gradients[1].abs().max()) > 0
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=float(gradients[1].abs().max()) * 1e-4)


def test_thresholds_and_what_is_refused():
    assert view_of("detr", confidence=None).confidence == 0.5
    assert tuple(view_of("detr", names=list("abcd")).names) == ("a", "b", "c", "d", "no object")
    with pytest.raises(OptionError, match="from 0 to 1"):
        view_of("detr", confidence=1.5)
    with pytest.raises(OptionError, match="give one per class"):
        view_of("rt_detr", names=list("abc"))
    with pytest.raises(OptionError, match="takes no others"):
        view_of("detr", classes=["cat"])
    with pytest.raises(AdapterError, match="post_process_object_detection"):
        wrap(make("detr"), processor=hf.ViTImageProcessor())


def test_no_findings_are_no_error():
    view = view_of("detr", confidence=1.0)
    inputs = view.prepare([PICTURES[0]])
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


def test_a_windowed_backbone_is_explained_at_the_layer_behind_it():
    """RF-DETR's usual choice, the last normalisation in front of an attention, puts out windows in place of pictures."""
    view = view_of("rf_detr", confidence=0.0)
    choice = view.auto_layers()
    assert choice.layers == ("model.backbone.projector",)
    assert "model.backbone.backbone.encoder.layer.2.norm1, was passed over" in choice.reason
    assert "not the batch of 1" in choice.reason
    inputs = view.prepare([picture(90, 150)])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(choice.layers)))
    found = view.find(recording.raw, inputs)
    (gradient,) = recording.gradients(found.logits[:1, 0], found.picture[:1])
    cells = view.layout(choice.layers[0], gradient, inputs).to_grid(gradient)
    assert tuple(cells.shape[2:]) == (8, 8)
    assert float((cells != 0).any(1).float().mean()) > 0.4  # deformable attention reads points
    assert max(hit(view, choice.layers[0], (80, 90))) <= 1.0
    with pytest.raises(LayerError, match="choose a layer outside of them, or leave the choice to layers='auto'"):
        activation(view, "model.backbone.backbone.encoder.layer.2.norm1", inputs)
