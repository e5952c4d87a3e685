"""Versions of a prompt that begin alike: what they share goes through the language model once, and its keys and values
serve all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

PLAIN = (
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "llava",
    "llava_next",
    "llava_onevision",
    "idefics3",
    "smolvlm",
    "internvl",
)
"""Families whose language model is causal over all tokens; Gemma's sees pictures, and PaliGemma's prompts, both ways.
"""


def read_after(decoder: Any, head: Any, arguments: Mapping[str, Any], start: int, keep: int) -> Float[Tensor, "b k v"]:
    """Logits of the last ``keep`` positions.

    Args:
        decoder, head: of the language model.
        arguments: the decoder's arguments for all versions.
        start: positions that all versions share.
    """
    from transformers import DynamicCache

    embeds = arguments["inputs_embeds"]
    b, length = embeds.shape[:2]
    cache = DynamicCache(config=decoder.config)
    decoder(**_part(arguments, slice(0, start), rows=1), past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(b)
    hidden = decoder(
        **_part(arguments, slice(start, length), rows=b), past_key_values=cache, use_cache=True
    ).last_hidden_state
    return head(hidden[:, -keep:])


def _part(arguments: Mapping[str, Any], some: slice, *, rows: int) -> dict[str, Any]:
    """The decoder's arguments for some positions of the first rows."""
    out = {
        k: v
        for k, v in arguments.items()
        if k not in ("past_key_values", "use_cache", "input_ids", "output_hidden_states", "output_attentions")
    }
    out["inputs_embeds"] = arguments["inputs_embeds"][:rows, some]
    b, _length = arguments["inputs_embeds"].shape[:2]
    if (positions := arguments.get("position_ids")) is not None:
        batched = positions[..., :rows, :] if positions.shape[-2] == b else positions
        out["position_ids"] = batched[..., some]
    if (mask := arguments.get("attention_mask")) is not None:
        out["attention_mask"] = mask[:rows, : some.stop]
    if (where := arguments.get("visual_pos_masks")) is not None:
        n = int(where[0].sum())
        inside = torch.nonzero(where[0]).flatten()
        chosen = (inside >= some.start) & (inside < some.stop)
        out["visual_pos_masks"] = where[:rows, some]
        out["deepstack_visual_embeds"] = [
            s.view(b, n, -1)[:rows, chosen].flatten(0, 1) for s in arguments["deepstack_visual_embeds"]
        ]
    return out
