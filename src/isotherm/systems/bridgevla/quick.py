"""Heatmaps from a language model's states in one call."""

from __future__ import annotations

import os
import warnings
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.models.weights.files import open_weights
from isotherm.systems.bridgevla.converter import LLMToHeatmapConverter
from isotherm.systems.bridgevla.tokens import view_features
from isotherm.systems.bridgevla.upsample import bottleneck_of, head_weights


def quick_heatmap_from_llm(
    hidden_states: Float[Tensor, "b t c"],
    attention_mask: Shaped[Tensor, "b t"] | None = None,
    num_views: int = 1,
    *,
    converter: LLMToHeatmapConverter | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    image_token_mask: Bool[Tensor, "b t"] | None = None,
    **options: Any,
) -> Float[Tensor, "b v H W"]:
    """Logits of every view, by a converter, by the head of a checkpoint, or by a new head that knows nothing.

    Args:
        hidden_states, attention_mask, num_views, image_token_mask: as of :meth:`LLMToHeatmapConverter.forward`.
        converter: a trained one.
        checkpoint: a weights file with the keys ``net_out`` and ``net_mask`` below any one prefix; whether its head has
            a bottleneck is read there. Published weights were trained with ``padding="zeros"``.
        options: of the converter that is made, such as vlm_dim (that of the states unless given), patch_size and
            padding; with a converter of one's own none.

    Returns:
        (b, num_views, H, W) logits, without gradients.

    Raises:
        OptionError: a converter and a checkpoint, or options of a converter that is there.
        WeightsError: a checkpoint that has no such head, or one of another width or ratio.
        ShapeError: as of :meth:`LLMToHeatmapConverter.forward`.
    """
    if converter is not None and (checkpoint is not None or options):
        named = ", ".join([*(["checkpoint"] if checkpoint is not None else []), *options])
        raise OptionError(f"a converter is there, so {named} would say it twice; give the one or the other")
    if converter is None:
        converter = _made(hidden_states, attention_mask, num_views, checkpoint, image_token_mask, options)
    with torch.no_grad():
        return converter(hidden_states, attention_mask, num_views, image_token_mask=image_token_mask)


def _made(
    hidden_states: Tensor,
    attention_mask: Tensor | None,
    num_views: int,
    checkpoint: str | os.PathLike[str] | None,
    image_token_mask: Tensor | None,
    options: dict[str, Any],
) -> LLMToHeatmapConverter:
    options = {"vlm_dim": hidden_states.shape[-1], **options}
    weights = None if checkpoint is None else open_weights(checkpoint)
    if weights is not None:
        options.setdefault("hidden_dim", bottleneck_of(head_weights(weights)))
    with torch.device("meta"):  # a head of 2048 features may have 309 million weights: none before the rest is right
        converter = LLMToHeatmapConverter(**options)
    with warnings.catch_warnings():  # the call that follows warns
        warnings.simplefilter("ignore")
        view_features(hidden_states, attention_mask, num_views, image_token_mask, converter.grid, converter.vlm_dim)
    if weights is not None:
        converter.load_head(weights)
        return converter.to(hidden_states).eval()
    warnings.warn(
        "a head with random weights is made, and its maps mean nothing; give converter= or checkpoint=", stacklevel=3
    )
    return LLMToHeatmapConverter(**options).to(hidden_states).eval()
