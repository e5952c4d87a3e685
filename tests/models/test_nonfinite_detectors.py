"""A detector whose weights hold NaN often just finds nothing: every family says so instead, and where it begins."""

from __future__ import annotations

import pytest
import torch

from isotherm import explain
from isotherm.errors import NonFiniteError
from rigs.breadth import wide


def spoilt(model, layer: str):
    """A model one value of whose named layer's first parameter is NaN."""
    module = dict(model.named_modules())[layer]
    with torch.no_grad():
        next(module.parameters()).view(-1)[0] = torch.nan
    return model


def why(*given, **options) -> NonFiniteError:
    with pytest.raises(NonFiniteError) as caught:
        explain(*given, **{"trust": "off", **options})
    assert "holds NaN (1 of" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("faster", "roi_heads.box_predictor.cls_score"),
        ("ssdlite", "head.regression_head.module_list.0.1"),
        *wide([("faster", "rpn.head.cls_logits"), ("retinanet", "head.classification_head.cls_logits")]),
    ],
)
def test_torchvision(name, layer):
    from rigs.torchvision_detectors import PICTURES, build

    assert why(spoilt(build(name), layer), PICTURES[0]).layer == layer


@pytest.mark.parametrize("layer", ["model.23.cv3.2.2", "model.23.cv2.0.2", "model.8.cv1.conv"])
def test_yolo(layer):
    """One level of three, or only the boxes, is enough: what is missing on it nobody would see."""
    from isotherm.api import open_model
    from rigs.yolo_models import bus

    view = open_model("yolo11n.yaml", weights="none", size=160)
    spoilt(view.model, layer)
    assert why(view, bus()[:400, :400]).layer == layer


@pytest.mark.parametrize(
    ("family", "layer"),
    [
        ("detr", "class_labels_classifier"),
        ("rt_detr", "model.decoder.layers.0.self_attn.k_proj"),
        *wide(
            [
                ("rt_detr", "model.decoder.layers.0.mlp.fc1"),
                ("grounding_dino", "model.encoder.layers.0.fusion_layer.attn.out_vision_proj"),
            ]
        ),
    ],
)
def test_transformers(family, layer):
    """Fused attention makes finite numbers of keys that are NaN; the weights are looked at as well."""
    from rigs.transformers_models import make, picture
    from rigs.transformers_views import view_of

    model = make(family)
    assert why(view_of(family, model=spoilt(model, layer)), picture(90, 150)).layer == layer


@pytest.mark.parametrize("family", ["detr", "grounding_dino"])
def test_finite_models_are_explained_as_they_were(family):
    """Grounding DINO's padded tokens have logits of minus infinity, and mean it."""
    from rigs.transformers_models import make, picture
    from rigs.transformers_views import view_of

    found = explain(
        view_of(family, model=make(family), confidence=0.99), picture(90, 150), trust="off", method="eigencam"
    )
    assert "the model found nothing in this picture" in " ".join(found.notes) or len(found)
