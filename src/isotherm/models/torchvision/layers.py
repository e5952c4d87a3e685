"""Which layer of a torchvision classifier to explain, and why; and what its transformers declare about their tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from isotherm.cam.view import LayerChoice
from isotherm.frame import Size
from isotherm.models.shared.grids import Tokens

LAST_STAGE = "the last stage before pooling: the deepest features that still have one cell per image region"


def known_layer(model: nn.Module) -> LayerChoice | None:
    """The layer for torchvision's own families; None for others."""
    from torchvision.models import (
        VGG,
        AlexNet,
        ConvNeXt,
        DenseNet,
        EfficientNet,
        GoogLeNet,
        Inception3,
        MaxVit,
        MNASNet,
        MobileNetV2,
        MobileNetV3,
        RegNet,
        ResNet,
        ShuffleNetV2,
        SqueezeNet,
        SwinTransformer,
        VisionTransformer,
    )

    stages: list[tuple[type[nn.Module] | tuple[type[nn.Module], ...], str]] = [
        (ResNet, "layer4"),
        ((DenseNet, SqueezeNet), "features"),
        ((EfficientNet, MobileNetV2, MobileNetV3, ConvNeXt), "features[-1]"),
        (RegNet, "trunk_output"),
        (GoogLeNet, "inception5b"),
        (Inception3, "Mixed_7c"),
        (ShuffleNetV2, "conv5"),
        (MNASNet, "layers"),
        (MaxVit, "blocks[-1]"),
    ]
    if isinstance(model, VGG | AlexNet):
        return LayerChoice(
            (f"features[{_before_last_pool(model.features)}]",),
            "the last convolution's activation, in front of the last max-pooling: the same features on a grid of four times as many cells",
        )
    if isinstance(model, SwinTransformer):
        return LayerChoice(
            ("norm",), "the last norm in front of average pooling: every cell reaches the answer by the same linear map"
        )
    if isinstance(model, VisionTransformer):
        return LayerChoice(
            ("encoder.layers[-1].ln_1",),
            "what the last attention reads; behind it only the class token goes on to the answer, "
            "so the patches of the last block's output have a gradient of exactly zero",
        )
    for family, layer in stages:
        if isinstance(model, family):
            return LayerChoice((layer,), LAST_STAGE)
    return None


def _before_last_pool(features: nn.Module) -> int:
    """Position of the module in front of the last max-pooling of a plain stack."""
    pools = [i for i, module in enumerate(features.children()) if isinstance(module, nn.MaxPool2d)]
    return pools[-1] - 1


def token_rule(model: nn.Module) -> Callable[[Size], Tokens | None]:
    """Input size -> tokens, as torchvision's VisionTransformer declares them; None for every other model."""
    from torchvision.models import VisionTransformer

    if not isinstance(model, VisionTransformer):
        return lambda size: None
    patch = int(model.patch_size)
    # the encoder's positions count the class token in
    return lambda size: Tokens(1, (patch, patch), (size[0] // patch, size[1] // patch))


def token_head(model: Any) -> dict[str, Any]:
    """What :class:`isotherm.models.shared.classifier.TransformerView` needs of a VisionTransformer: its blocks and its
    head.
    """

    def head(tokens: Tensor) -> tuple[Tensor, Tensor]:
        of_class = model.encoder.ln(tokens)[:, 0]
        embedding = model.heads[:-1](of_class)
        return model.heads[-1](embedding), embedding

    return {"blocks": [f"encoder.layers.{name}" for name, _ in model.encoder.layers.named_children()], "head": head}


def order_of(model: nn.Module) -> str:
    """Order of 4-dimensional outputs: Swin works channels-last from the patch embedding on."""
    from torchvision.models import SwinTransformer

    return "nhwc" if isinstance(model, SwinTransformer) else "nchw"
