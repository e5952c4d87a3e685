"""Small vision transformers of every package, whose attention is far from uniform."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack


def timm_vit(**given):
    import timm

    torch.manual_seed(0)
    settings = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3, "num_classes": 5}
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, **{**settings, **given})
    return lively(model), (32, 48)


def torchvision_vit():
    from torchvision.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=3, hidden_dim=24, mlp_dim=32, num_classes=5
    )
    nn.init.normal_(model.heads.head.weight)
    return lively(model), (32, 32)


def transformers_vit(attention="sdpa"):
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        num_labels=5,
        attn_implementation=attention,
    )
    return lively(ViTForImageClassification(config)), (32, 32)


def lively(model):
    """Random weights large enough for attention to differ from uniform."""
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 2:
                p.mul_(4 * (24**-0.5) / p.std().clamp(min=1e-3) / 4)
    return model.eval()


MODELS = {
    "timm": timm_vit,
    "timm, written out": lambda: unfused(*timm_vit()),
    "timm, registers": lambda: timm_vit(reg_tokens=4),
    "torchvision": torchvision_vit,
    "transformers, sdpa": transformers_vit,
    "transformers, eager": lambda: transformers_vit("eager"),
}


def unfused(model, size):
    for block in model.blocks:
        block.attn.fused_attn = False
    return model, size


def logits(output) -> Tensor:
    return output if isinstance(output, Tensor) else output.logits


def left_behind(model):
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()]
    grads = [p.grad for p in model.parameters()]
    return hooks, grads, _get_current_function_mode_stack(), F.scaled_dot_product_attention, torch.is_grad_enabled()
