"""MaskFormer, Mask2Former and OneFormer: classes of pixels and segments are the processor's own, and follow the picture."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from PIL import Image

from isotherm.api import explain, explain_many, open_model
from isotherm.cam.capture import record
from isotherm.cam.scores import Detection
from isotherm.cam.view import Pins, View
from isotherm.cli.main import main
from isotherm.errors import AdapterError, UnfitTargetError
from isotherm.models.transformers.view import wrap
from isotherm.relevance.modules import resolve
from isotherm.runs.read import read_items
from rigs.breadth import wide
from rigs.transformers_models import VIT, picture
from rigs.transformers_segmenters import UNIVERSAL, make_segmenter, segmenter_processor, segmenter_view
from rigs.transformers_views import hit

PICTURES = (picture(90, 150), picture(90, 150, 1))


def decoder_of(family):
    processor = segmenter_processor(family)
    return getattr(processor, "image_processor", processor)


@pytest.mark.parametrize("family", UNIVERSAL)
def test_the_class_of_every_pixel_is_the_processors_own(family):
    view = segmenter_view(family)
    assert isinstance(view, View)
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
    own = decoder_of(family).post_process_semantic_segmentation(raw, target_sizes=[inputs.frame.size] * 2)
    assert torch.equal(found.logits.argmax(1), torch.stack(own))
    assert len(torch.stack(own).unique()) > 1
    assert tuple(view.names) == tuple(f"LABEL_{i}" for i in range(4))


@pytest.mark.parametrize("family", UNIVERSAL)
def test_segments_are_the_processors_own_each_with_its_query(family):
    view = segmenter_view(family).of_score(Detection())
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
        copied = type(raw)(**{k: v.clone() for k, v in raw.items() if torch.is_tensor(v)})
    own = decoder_of(family).post_process_panoptic_segmentation(
        copied, threshold=0.0, label_ids_to_fuse=set(), target_sizes=[inputs.frame.size] * 2
    )
    infos = [(i, info) for i, one in enumerate(own) for info in one["segments_info"]]
    assert len(infos) > 2
    assert found.picture.tolist() == [i for i, _ in infos]
    assert found.classes.tolist() == [info["label_id"] for _, info in infos]
    assert [round(c, 6) for c in found.confidence.tolist()] == pytest.approx([info["score"] for _, info in infos])
    assert torch.equal(found.logits, raw.class_queries_logits[found.picture, found.candidate])
    masks = found.masks()
    for row, (i, info) in enumerate(infos):
        mine = own[i]["segmentation"] == info["id"]
        rows, columns = torch.nonzero(mine.any(1)), torch.nonzero(mine.any(0))
        sides = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert found.boxes[row].tolist() == [float(side) for side in sides]
        # the processor's detour over 384 x 384 pixels moves the edges
        everyone = torch.nn.functional.interpolate(
            raw.masks_queries_logits[i : i + 1], size=mine.shape, mode="bilinear"
        )[0]
        sure = everyone.sigmoid() * raw.class_queries_logits[i].softmax(-1).amax(-1)[:, None, None]
        assert float((sure.argmax(0) == found.candidate[row])[mine].float().mean()) > 0.9
        torch.testing.assert_close(masks[row], everyone[found.candidate[row]])


@pytest.mark.parametrize("family", ["maskformer", "mask2former", *wide(["oneformer"])])
def test_both_kinds_are_explained_at_cells_that_follow_a_block(family):
    view = segmenter_view(family)
    (layer,) = view.auto_layers().layers
    assert "encoder" in layer
    assert "Seg-Grad-CAM" in view.auto_layers().reason
    for centre in ((130, 60), (40, 120)):
        assert max(hit(view, layer, centre)) <= 0.5
    whole = explain(view, PICTURES[0], trust="off")[0]
    again = explain(view, PICTURES[0], target=whole.label, trust="off")[0]
    assert whole.label in view.names
    torch.testing.assert_close(again.values, whole.values)
    several = explain(view, PICTURES[0], target=Detection(0, of="all"), trust="off")
    assert [m.meta["part"] for m in several] == ["class", "mask"]
    inputs = view.prepare(PICTURES[:1])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, [layer]))
    (gradient,) = recording.gradients(view.find(recording.raw, inputs).logits[:, 1].mean((1, 2)), torch.arange(1))
    assert bool((view.layout(layer, gradient, inputs).to_grid(gradient) != 0).any(1).all())


def test_a_segment_is_read_again_at_its_query():
    view = segmenter_view("mask2former").of_score(Detection())
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
        pins = Pins(found.boxes[[0, -1]], found.classes[[0, -1]], found.candidate[[0, -1]])
        changed = inputs.with_tensor(inputs.tensor.flip(-1))
        raw = view.run(changed)
        again = view.refind(raw, changed, pins)
    assert torch.equal(again.logits, raw.class_queries_logits[torch.arange(2), pins.candidate])
    assert torch.equal(again.boxes, pins.boxes)


def test_of_one_class_half_of_the_pixels_need_not_be_it():
    view = segmenter_view("mask2former_one_class")
    inputs = view.prepare(PICTURES)
    with torch.no_grad():
        raw = view.run(inputs)
        logits = view.find(raw, inputs).logits
    made = decoder_of("mask2former").post_process_semantic_segmentation(
        raw, target_sizes=[inputs.frame.size] * 2, return_segmentation_scores=True
    )
    share = torch.stack([one.segmentation_scores for one in made])
    assert torch.equal(logits > 0, share > 0.5)
    assert 0 < int((logits > 0).sum()) < logits.numel()


def test_a_processor_that_puts_parts_together_again_is_refused():
    config = hf.EomtConfig(**VIT, num_blocks=1, num_queries=7, num_labels=4, num_upscale_blocks=2)
    with pytest.raises(AdapterError, match="EomtImageProcessor cuts pictures into parts or pads them"):
        wrap(hf.EomtForUniversalSegmentation(config), processor=hf.EomtImageProcessor())


def test_pictures_of_different_sizes_go_through_together():
    view = segmenter_view("mask2former")
    alone = [explain(view, p, trust="off")[0] for p in (picture(90, 150), picture(90, 120, 1))]
    both = list(explain_many(view, [picture(90, 150), picture(90, 120, 1)], trust="off"))
    assert [len(maps) for maps in both] == [1, 1]
    assert [maps[0].label for maps in both] == [one.label for one in alone]


def test_a_segment_has_no_sides_to_explain():
    view = segmenter_view("maskformer")
    for part in ("box", "left", "size"):
        with pytest.raises(UnfitTargetError, match="extents of its masks"):
            explain(view, PICTURES[0], target=Detection(0, of=part), trust="off")


def test_oneformer_is_told_its_task(tmp_path):
    model = make_segmenter("oneformer")
    view = segmenter_view("oneformer", model)
    words = {task: t.tolist() for task, t in view.tasks.items()}
    own = segmenter_processor("oneformer")(list(PICTURES[:1]), ["semantic"], return_tensors="pt")["task_inputs"]
    assert words["semantic"] == own.tolist()
    assert words["semantic"] != words["panoptic"]
    with pytest.raises(AdapterError, match="no tokeniser"):
        wrap(model, processor=hf.OneFormerImageProcessor())
    model.save_pretrained(tmp_path)
    segmenter_processor("oneformer").save_pretrained(tmp_path)
    again = open_model(str(tmp_path))
    inputs = view.prepare(PICTURES[:1])
    with torch.no_grad():
        torch.testing.assert_close(
            again.run(inputs).class_queries_logits, view.run(inputs).class_queries_logits, rtol=1e-4, atol=1e-3
        )


def test_the_command_line_asks_for_a_class_or_a_segment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_segmenter("mask2former").save_pretrained("saved")
    segmenter_processor("mask2former").save_pretrained("saved")
    Image.fromarray(PICTURES[0]).save("photo.png")
    command = ["explain", "photo.png", "--model", "saved", "--trust", "off", "--device", "cpu"]
    assert main([*command, "--out", "pixels"]) == 0
    assert main([*command, "--box", "0", "--target", "class,mask", "--out", "segment"]) == 0
    pixels, segment = (
        [one["label"] for item in read_items(out) for one in item["maps"]] for out in ("pixels", "segment")
    )
    assert len(pixels) == 1
    assert pixels[0] in {f"LABEL_{i}" for i in range(4)}
    assert [label.split()[-1] == "mask" for label in segment] == [False, True]
