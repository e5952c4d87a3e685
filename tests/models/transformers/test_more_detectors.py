"""LW-DETR, RF-DETR with masks, Table Transformer, DAB-DETR, DEIMv2: explained at cells that follow the picture."""

from __future__ import annotations

import pytest
import torch

from isotherm.api import explain, open_model
from isotherm.cam.scores import Detection
from isotherm.cam.view import View
from rigs.breadth import wide
from rigs.transformers_detectors import detector_processor, detector_view, make_detector
from rigs.transformers_models import picture
from rigs.transformers_views import hit

LAYERS = {
    "lw_detr": "model.backbone.projector.scale_layers.0",
    "rf_detr_masks": "model.model.backbone.projector",
    "table_transformer": "model.encoder.layernorm",
    "dab_detr": "model.encoder.layers.1",
    "deimv2": "model.conv_encoder.model.encoder.stages.3",
}


@pytest.mark.parametrize("family", ["rf_detr_masks", "dab_detr", "deimv2", *wide(["lw_detr", "table_transformer"])])
def test_findings_are_the_processors_own_and_explained(family):
    view = detector_view(family)
    assert isinstance(view, View)
    inputs = view.prepare([picture(90, 150)])
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
    decode = detector_processor(family).post_process_object_detection
    (own,) = decode(raw, threshold=0.0, target_sizes=[tuple(s) for s in inputs.extra["sizes"].tolist()])
    assert torch.equal(found.confidence, own["scores"])
    assert torch.equal(found.classes, own["labels"])
    torch.testing.assert_close(found.boxes, own["boxes"])
    maps = explain(view, picture(90, 150), target=Detection(0, of="all"), trust="off")
    masks = ["mask"] if family == "rf_detr_masks" else []
    assert [m.meta["part"] for m in maps] == ["class", "box", *masks]
    # not all rounding, as in front of a normalisation
    assert all(float(m.values.abs().max()) > 1e-3 for m in maps)


@pytest.mark.parametrize("family", ["lw_detr", "dab_detr", "deimv2", *wide(["rf_detr_masks", "table_transformer"])])
def test_a_block_moves_the_cells_of_the_chosen_layer(family):
    view = detector_view(family)
    assert view.auto_layers().layers == (LAYERS[family],)
    for centre in ((130, 60), (40, 120)):
        assert max(hit(view, LAYERS[family], centre)) <= (1.0 if "encoder.layer" in LAYERS[family] else 0.5)


def test_masks_of_rf_detr_are_those_that_the_processor_paints():
    view = detector_view("rf_detr_masks")
    inputs = view.prepare([picture(90, 150)])
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
    (own,) = detector_processor("rf_detr_masks").post_process_instance_segmentation(
        raw, threshold=0.0, target_sizes=[inputs.frame.size], return_binary_maps=True
    )
    masks = found.masks() > 0
    kept = masks.flatten(1).any(1)
    assert torch.equal(masks[kept], own["segmentation"])
    assert found.classes[kept].tolist() == [info["label_id"] for info in own["segments_info"]]


def test_a_folder_of_a_windowed_detector_is_opened(tmp_path):
    model = make_detector("lw_detr")
    model.save_pretrained(tmp_path)
    detector_processor("lw_detr").save_pretrained(tmp_path)
    view, again = detector_view("lw_detr", model), open_model(str(tmp_path), confidence=0.0)
    inputs = view.prepare([picture()])
    with torch.no_grad():
        torch.testing.assert_close(again.run(inputs).logits, view.run(inputs).logits, rtol=1e-4, atol=1e-4)
    assert again.auto_layers().layers == (LAYERS["lw_detr"],)
