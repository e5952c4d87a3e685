"""The view of any classifier: a layer that is known needs no proof, and what isotherm computes itself is no step of the
model.
"""

from __future__ import annotations

import timm
import torch

from isotherm.cam.view import LayerChoice
from isotherm.models.shared.classifier import ClassifierView
from isotherm.models.shared.grids import Tokens
from isotherm.models.shared.preprocess import Preprocess
from isotherm.models.timm import view as timm_adapter
from rigs.view_checks import noise_picture, record_at

PICTURE = noise_picture(64, 64)


def residual() -> ClassifierView:
    torch.manual_seed(0)
    return timm_adapter.wrap(timm.create_model("resnet10t", num_classes=6).eval(), size=64)


def test_a_layer_that_is_known_is_placed_without_a_look_at_what_running_shows():
    view = residual()
    inputs, recording = record_at(view, [PICTURE], view.auto_layers().layers)
    known = view.layout("layer4", recording.calls[0].output, inputs)
    assert "places" not in vars(view)
    again = view.places.layout("layer4", recording.calls[0].output, inputs)
    assert (known.order, known.grid) == (again.order, again.grid) == ("nchw", None)
    _, other = record_at(view, [PICTURE], ["layer2"])
    assert view.layout("layer2", other.calls[0].output, inputs).order == "nchw"


def test_a_known_layer_that_was_passed_over_is_trusted_no_more():
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", embed_dim=48, depth=2, num_heads=2, num_classes=6, img_size=64
    ).eval()
    view = ClassifierView(
        model,
        name="of convolutions",
        names=[str(i) for i in range(6)],
        preprocess=Preprocess(size=(64, 64), mean=(0.5,) * 3, std=(0.5,) * 3),
        known=LayerChoice(("blocks[-1]",), "the usual one"),
        tokens=lambda size: Tokens(1, None, (4, 4)),
    )
    choice = view.auto_layers()
    assert choice.layers != ("blocks[-1]",)
    assert "the usual choice, blocks[-1], was passed over" in choice.reason
    assert view.places.trusted == frozenset()
    assert view.auto_layers() is choice


def test_what_is_computed_beside_the_model_is_no_step_at_which_a_gradient_ends():
    view = residual()
    _, recording = record_at(view, [PICTURE], ["layer4"])
    assert recording.raw.embedding is not None
    assert recording.raw.embedding.requires_grad
    assert recording.breaks == ()
