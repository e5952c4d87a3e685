"""Which layer of a timm model to explain, and why; and what its transformers declare about their tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from isotherm.cam.view import LayerChoice
from isotherm.frame import Size
from isotherm.models.shared.grids import Tokens


def known_layer(model: Any) -> LayerChoice | None:
    """The layer for families whose structure says it; None for the rest, where running the model once does."""
    from timm.models.convnext import ConvNeXt
    from timm.models.efficientnet import EfficientNet
    from timm.models.resnet import ResNet
    from timm.models.swin_transformer import SwinTransformer
    from timm.models.swin_transformer_v2 import SwinTransformerV2

    if isinstance(model, ResNet):
        return LayerChoice(
            ("layer4",), "the last stage before pooling: the deepest features that still have one cell per image region"
        )
    if isinstance(model, ConvNeXt):
        return LayerChoice(
            ("stages",), "the last stage before pooling: the deepest features that still have one cell per image region"
        )
    if isinstance(model, EfficientNet):
        return LayerChoice(
            ("bn2",),
            "the last feature map before pooling: the deepest features that still have one cell per image region",
        )
    if isinstance(model, SwinTransformer | SwinTransformerV2) and isinstance(model.norm, nn.LayerNorm):
        return LayerChoice(
            ("norm",), "the last norm in front of average pooling: every cell reaches the answer by the same linear map"
        )
    if not is_plain_vit(model):
        return None
    if model.global_pool == "token":
        return LayerChoice(
            ("blocks[-1].norm1",),
            "what the last attention reads; behind it only the class token goes on to the answer, "
            "so the patches of the last block's output have a gradient of exactly zero",
        )
    if isinstance(model.norm, nn.Identity):
        return LayerChoice(
            ("blocks[-1]",), f"the last block: the answer pools all of its patches ({model.global_pool})"
        )
    return LayerChoice(("norm",), f"the last norm: the answer pools all of its patches ({model.global_pool})")


def is_plain_vit(model: Any) -> bool:
    """True for transformers whose blocks keep one token per patch from first to last, in reading order."""
    from timm.models.beit import Beit
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer
    from timm.models.vision_transformer_relpos import VisionTransformerRelPos

    return isinstance(model, VisionTransformer | Beit | Eva | VisionTransformerRelPos) and hasattr(
        model.blocks[-1], "norm1"
    )


def token_head(model: Any) -> dict[str, Any]:
    """What :class:`isotherm.models.shared.classifier.TransformerView` needs of a plain transformer: its blocks and its
    head.
    """

    def head(tokens: Tensor) -> tuple[Tensor, Tensor]:
        normed = model.norm(tokens)
        return model.forward_head(normed), model.forward_head(normed, pre_logits=True)

    return {"blocks": [f"blocks.{i}" for i in range(len(model.blocks))], "head": head}


def token_rule(model: Any) -> Callable[[Size], Tokens | None]:
    """Input size -> tokens, from ``num_prefix_tokens`` and the patch embedding's own grid; None where these are not
    declared.
    """
    embedding = getattr(model, "patch_embed", None) or getattr(model, "stem", None)
    grid = getattr(embedding, "grid_size", None)
    if grid is None:
        return lambda size: None  # such as Hiera, whose tokens are not in reading order
    patch = patch_of(embedding)
    prefix = int(getattr(model, "num_prefix_tokens", 0) or 0)
    dynamic = getattr(embedding, "dynamic_feat_size", None)

    def rule(size: Size) -> Tokens:
        now = dynamic(size) if dynamic is not None and not getattr(embedding, "strict_img_size", True) else grid
        return Tokens(prefix, patch, (int(now[0]), int(now[1])))

    return rule


def patch_of(embedding: Any) -> Size | None:
    """(h, w) of a patch in input pixels, of an embedding that is one convolution whose stride is its kernel.

    None of all others: what a hybrid embedding calls its patch counts cells of the network in front of it, and where
    several convolutions or overlapping ones make the tokens, each of them sees more than a patch.
    """
    convolutions = [module for module in embedding.modules() if isinstance(module, nn.Conv2d)]
    if len(convolutions) == 1:
        (one,) = convolutions
        plain = one.kernel_size == one.stride and one.padding in ((0, 0), "valid")
        return (int(one.stride[0]), int(one.stride[1])) if plain else None
    patch = None if convolutions else getattr(embedding, "patch_size", None)  # cut by a reshape, read by a linear layer
    if patch is None:
        return None
    return (int(patch), int(patch)) if isinstance(patch, int) else (int(patch[0]), int(patch[1]))


def order_of(model: Any) -> str:
    """Order of 4-dimensional outputs, as the model declares it."""
    return "nhwc" if str(getattr(model, "output_fmt", "NCHW")).upper().endswith("NHWC") else "nchw"
