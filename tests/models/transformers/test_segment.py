"""transformers' semantic segmenters: explained at the end of the encoder, whose cells are where the frame says."""

from __future__ import annotations

import pytest
import torch

from isotherm.api import explain
from isotherm.cam.scores import SegmentationMask
from isotherm.cam.view import View
from isotherm.errors import TargetError
from rigs.breadth import wide
from rigs.transformers_models import picture
from rigs.transformers_segmenters import make_segmenter, segmenter_processor, segmenter_view
from rigs.transformers_views import hit

LAYERS = {
    "upernet": "backbone.encoder.stages.3",
    "upernet_swin": "backbone.swin.encoder.layers.3.blocks.0.layernorm_before",
    "dpt": "dpt.encoder.layer.3.layernorm_before",
    "beit": "beit.layers.2",
    "data2vec": "data2vec_vision.encoder.layer.2.output",
    "mobilevit": "mobilevit.encoder.layer.4",
    "mobilenet_v2": "mobilenet_v2.layer.15",
}
"""BEiT's segmenter reads the block in front of the last one, and the last one not at all."""


@pytest.mark.parametrize(
    "family", ["upernet", "upernet_swin", "beit", "mobilevit", *wide(["dpt", "data2vec", "mobilenet_v2"])]
)
def test_a_segmenter_is_explained_at_the_end_of_its_encoder(family):
    mobile = family.startswith("mobile")
    view = segmenter_view(family, size=128 if mobile else None)  # of 64 pixels they leave 2 x 2 cells
    assert isinstance(view, View)
    assert view.auto_layers().layers == (LAYERS[family],)
    found = explain(view, picture(), trust="off")[0]
    assert float(found.values.abs().max()) > 0
    for centre in ((80, 90), (130, 60)):
        # the mobile ones' many filters with random weights answer to the block's surroundings too
        assert max(hit(view, LAYERS[family], centre)) <= (1.0 if mobile else 0.5)


@pytest.mark.parametrize("family", ["upernet", "beit", "dpt", "mobilevit"])
def test_the_class_of_every_pixel_is_the_processors_own(family):
    view = segmenter_view(family)
    inputs = view.prepare([picture()])
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
    output = type("Output", (), {"logits": raw})
    (own,) = segmenter_processor(family).post_process_semantic_segmentation(output, target_sizes=[inputs.frame.size])
    assert torch.equal(found.logits.argmax(1)[0], own)
    assert len(own.unique()) > 1


def test_of_one_class_the_mask_is_where_it_is_likelier_than_not():
    view = segmenter_view("segformer_one_class")
    inputs = view.prepare([picture()])
    found = view.find(view.run(inputs), inputs)
    targets = SegmentationMask()(found, inputs)
    inside = found.logits[0, 0] > 0
    assert 0 < int(inside.sum()) < inside.numel()
    torch.testing.assert_close(targets.scores[0], found.logits[0, 0][inside].mean())
    model = make_segmenter("segformer_one_class")
    with torch.no_grad():
        model.decode_head.classifier.bias -= 100
    nothing = segmenter_view("segformer_one_class", model)
    assert len(explain(nothing, picture(), trust="off")) == 0
    with pytest.raises(TargetError, match="says it nowhere"):
        explain(nothing, picture(), target=0, trust="off")
