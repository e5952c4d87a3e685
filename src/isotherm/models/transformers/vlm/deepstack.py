"""Vision tokens that come into a language model at layers behind the first, as Qwen3-VL's do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

BY_LAYER = "deepstack_features"
"""The argument of Granite 4 Vision's language model: features by layer; in front of the first its tokens are zero."""
IN_ORDER = "deepstack_visual_embeds"
"""The argument of all others: features for the first layers."""


def deeper_tokens(arguments: Mapping[str, Any]) -> list[Float[Tensor, "n c"]]:
    """The vision tokens that are added at single layers.

    Args:
        arguments: of a language model.

    Example:
        >>> deeper_tokens({"inputs_embeds": 1})
        []
    """
    by_layer = arguments.get(BY_LAYER)
    return list(by_layer.values() if by_layer else arguments.get(IN_ORDER) or [])


def with_deeper_tokens(
    arguments: Mapping[str, Any], deeper: Sequence[Float[Tensor, "n c"]], where: Bool[Tensor, "b t"], config: Any
) -> dict[str, Any]:
    """What a language model is given so that it adds other vision tokens at its layers.

    Args:
        arguments: that it would be given.
        deeper: as of :func:`deeper_tokens`, of all prompts one after the other.
        where: which tokens stand for pictures.
        config: of the model.
    """
    if BY_LAYER not in arguments:
        return {"visual_pos_masks": where, IN_ORDER: list(deeper)}
    layers = dict.fromkeys([*(layer for _, layer in config.deepstack_layer_map), *config.spatial_target_layers])
    return {"vision_mask": where[..., None], BY_LAYER: dict(zip(layers, deeper, strict=True))}
