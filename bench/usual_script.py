"""What people run today on Qwen-like models, re-implemented as a baseline: hooks on the last vision block, one maximal logit, patches in the order of the list."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def usual_script(model: Any, inputs: dict[str, Any], *, ordered: bool = False) -> Tensor:
    """(h, w) map over the patches: relu of the activations weighted by their mean gradient. Every weight asks for a gradient, as it comes.

    Args:
        ordered: put the patches in reading order first, which the scripts do not.
    """
    kept: dict[str, Tensor] = {}
    block = model.model.visual.blocks[-1]
    forward = block.register_forward_hook(lambda _m, _a, out: kept.__setitem__("activation", out))
    backward = block.register_full_backward_hook(lambda _m, _i, out: kept.__setitem__("gradient", out[0]))
    try:
        model.zero_grad()
        with torch.enable_grad():
            logits = model(**inputs).logits[0, -1]
            logits.max().backward()
    finally:
        forward.remove()
        backward.remove()
    activation, gradient = kept["activation"].detach(), kept["gradient"]
    values = (activation @ gradient.mean(0)).clamp(min=0)
    _, h, w = inputs["image_grid_thw"][0].tolist()
    if ordered:
        from isotherm.models.transformers.vlm.layouts.qwen import raster_order

        values = values[raster_order(h, w, model.config.vision_config.spatial_merge_size)]
    return values.view(h, w)
