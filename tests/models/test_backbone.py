"""Backbones: every family's grid where its strides say, tokens dropped as declared, and a wrong count found."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import AdapterError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.models.backbone import ConvBackbone, ConvBackboneConfig, check_backbone
from isotherm.models.timm.backbone import TimmStage, TimmTokens
from isotherm.models.timm.backbone import load_backbone as load_timm
from isotherm.models.transformers.backbone import backbone_of

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 8,
}


def config(family):
    import transformers as t

    return {
        "dinov3": lambda: t.DINOv3ViTConfig(**SMALL, num_register_tokens=4),
        "dinov2": lambda: t.Dinov2Config(**(SMALL | {"mlp_ratio": 2})),
        "dinov2 with registers": lambda: t.Dinov2WithRegistersConfig(**SMALL, mlp_ratio=2, num_register_tokens=4),
        "siglip": lambda: t.SiglipVisionConfig(**SMALL),
        "clip": lambda: t.CLIPVisionConfig(**SMALL),
        "clip pair": lambda: t.CLIPConfig(
            vision_config=SMALL, text_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        ),
        "ijepa": lambda: t.IJepaConfig(**SMALL),
        "vit": lambda: t.ViTConfig(**SMALL),
    }[family]()


PREFIX = {
    "dinov3": 5,
    "dinov2": 1,
    "dinov2 with registers": 5,
    "siglip": 0,
    "clip": 1,
    "clip pair": 1,
    "ijepa": 0,
    "vit": 1,
}


@pytest.mark.parametrize("family", PREFIX)
def test_transformers(family):
    backbone = backbone_of(config(family), seed=0).eval()
    assert (backbone.channels, backbone.stride, backbone.prefix) == (32, 8, PREFIX[family])
    check_backbone(backbone, size=(64, 64))
    assert backbone.summary(torch.rand(2, 3, 64, 64)).shape == (2, 32)
    assert len(backbone.blocks()) == 2
    again = backbone_of(config(family), seed=0)
    assert all(
        torch.equal(a, b) for a, b in zip(backbone.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_a_wrong_number_of_tokens_is_found():
    backbone = backbone_of(config("dinov3"), seed=0).eval()
    backbone.prefix = 4
    with pytest.raises(ShapeError, match="needs 68"):  # too many tokens for the grid
        check_backbone(backbone, size=(64, 64))
    backbone.prefix, backbone.suffix = 4, 1  # as many as are needed, one of them a register
    with pytest.raises(ShapeError, match="a wrong number of class or register tokens"):
        check_backbone(backbone, size=(64, 64))


def test_pictures_are_normalised_inside():
    backbone = backbone_of(config("siglip"), seed=0).eval()
    x = torch.rand(1, 3, 64, 64)
    expected = backbone.model(pixel_values=(x - 0.5) / 0.5).last_hidden_state
    torch.testing.assert_close(backbone(x).flatten(2).mT, expected)


def test_timm_tokens_and_stages():
    vit = load_timm("vit_tiny_patch16_224", pretrained=False, size=(64, 96), seed=0).eval()
    assert isinstance(vit, TimmTokens)
    assert (vit.channels, vit.stride, vit.prefix) == (192, 16, 1)
    check_backbone(vit, size=(64, 96))
    cnn = load_timm("resnet18", pretrained=False, seed=0).eval()
    assert isinstance(cnn, TimmStage)
    assert (cnn.channels, cnn.stride) == (256, 16)
    assert cnn(torch.rand(1, 3, 64, 96)).shape == (1, 256, 4, 6)
    assert load_timm("resnet18", pretrained=False, stage=1).stride == 4
    with pytest.raises(OptionError, match="has the stages 0 to 4"):
        load_timm("resnet18", pretrained=False, stage=9)
    with pytest.raises(AdapterError, match="no model 'resnot18'"):
        load_timm("resnot18", pretrained=False)


def test_conv_backbone():
    backbone = ConvBackbone(ConvBackboneConfig(widths=(16, 32), depth=1)).eval()
    assert (backbone.channels, backbone.stride) == (32, 8)
    check_backbone(backbone, size=(64, 48))
    frame = backbone.output_frame(Frame.identity((64, 48)))
    assert frame.size == (8, 6)
    with pytest.raises(ShapeError, match="multiples of 8"):
        backbone(torch.zeros(1, 3, 60, 64))
    with pytest.raises(OptionError, match="multiple of groups"):
        ConvBackboneConfig(widths=(12,))


def test_no_grid_is_refused():
    import transformers as t

    model = t.SwinConfig(image_size=64, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=4)
    with pytest.raises(AdapterError, match="one grid of square patches"):
        backbone_of(model)
