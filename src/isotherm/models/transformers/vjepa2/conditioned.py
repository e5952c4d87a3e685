"""Layers of V-JEPA 2 whose attention reads more than their own tokens; with gates at 0, the original to the bit.

The video tokens go through the very calls that the model itself makes. A second attention reads further keys, or weighs
the keys by a density; what the heads hand on moves from the first to the second answer as a gate opens:

    context = without + gate (with - without)

A gate on the values of further keys would not do, since the keys take their share of the softmax whatever their values
are; a bias of log(gate) on the keys would be the same function at 0 and at 1, but has no gradient at 0 in floating
point. This one is linear in the gate: its gradient at 0 is what the heads would read differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What the attention of a stack of layers takes beside its own tokens.

    Args:
        gate: (layers, heads). 0: the original attention; 1: the attention with all that is below.
        extra: (b, k, d) further tokens. They go through the same layers, read the video tokens and each other, and
            are dropped at the end.
        places: (b, k, 3) of them: tubelet, row and column of the grid of video tokens, between tokens as well. They
            get the rotary positions of their places; those of the video tokens are not changed.
        density: (b, n) how much lies on each video token.
        strength: (layers, heads) by how much a density of 1 raises the logits of a key.

    Raises:
        ShapeError: extra tokens without places, or a density without strength.
    """

    gate: Float[Tensor, "layers heads"]
    extra: Float[Tensor, "b k d"] | None = None
    places: Float[Tensor, "b k 3"] | None = None
    density: Float[Tensor, "b n"] | None = None
    strength: Float[Tensor, "layers heads"] | None = None

    def __post_init__(self) -> None:
        if (self.extra is None) != (self.places is None):
            raise ShapeError("extra tokens and their places go together; one of them is missing")
        if (self.density is None) != (self.strength is None):
            raise ShapeError("a density and its strength go together; one of them is missing")


def run_layers(
    layers: Iterable[Any],
    tokens: Float[Tensor, "b n d"],
    *,
    position_ids: Int[Tensor, "b n"] | None = None,
    conditioning: Conditioning | None = None,
) -> Float[Tensor, "b n d"]:
    """Tokens through VJEPA2Layers.

    Args:
        layers: of an encoder or a predictor.
        tokens: of the video.
        position_ids: where each stands in the grid, counted row by row; in their order unless given.
        conditioning: what the attention takes beside them; None: the layers as they are.
    """
    if conditioning is None:
        for layer in layers:
            tokens = layer(tokens, position_ids)[0]
        return tokens
    layers = list(layers)
    extra = conditioning.extra
    for i, layer in enumerate(layers):
        video, further = layer.norm1(tokens), None if extra is None else layer.norm1(extra)
        context, context_extra = _attend(layer.attention, video, further, position_ids, conditioning, i)
        tokens = _rest(layer, tokens, context)
        # nobody reads what the last layer would make of the extra tokens
        if extra is not None and context_extra is not None and i + 1 < len(layers):
            extra = _rest(layer, extra, context_extra)
    return tokens


def _rest(layer: Any, residual: Tensor, context: Tensor) -> Tensor:
    """The rest of a layer behind its attention, as the layer itself has it."""
    hidden = layer.drop_path(layer.attention.proj(context)) + residual
    return layer.drop_path(layer.mlp(layer.norm2(hidden))) + hidden


def _attend(
    attention: Any, video: Tensor, extra: Tensor | None, position_ids: Tensor | None, conditioning: Conditioning, i: int
) -> tuple[Tensor, Tensor | None]:
    """(b, n, d) contexts of the video tokens, and those of the extra tokens."""
    query, key, value = _heads(attention, video)
    positions = attention.get_position_ids(video, masks=position_ids)
    key = attention.apply_rotary_embeddings(key, positions)
    query = attention.apply_rotary_embeddings(query, positions)
    without = _original(attention, query, key, value)
    dropout = attention.dropout_prob if attention.training else 0.0
    bias = None
    if conditioning.density is not None and conditioning.strength is not None:
        bias = conditioning.strength[i][None, :, None, None] * conditioning.density[:, None, None, :]
    query_extra = None
    if extra is not None and conditioning.places is not None:
        query_extra, key_extra, value_extra = _heads(attention, extra)
        places = tuple(conditioning.places.unbind(-1))
        # (b, 1, k): the same for all heads
        places = tuple(at[:, None] for at in places)
        key_extra = attention.apply_rotary_embeddings(key_extra, places)
        query_extra = attention.apply_rotary_embeddings(query_extra, places)
        key, value = torch.cat([key, key_extra], dim=2), torch.cat([value, value_extra], dim=2)
        bias = None if bias is None else F.pad(bias, (0, extra.shape[1]))

    def read(queries: Tensor) -> Tensor:
        """(b, q, heads, d / heads) with all keys."""
        return F.scaled_dot_product_attention(
            queries, key, value, attn_mask=bias, dropout_p=dropout, scale=attention.scaling
        ).transpose(1, 2)

    gate = conditioning.gate[i][:, None].to(without.dtype)
    context = without + gate * (read(query) - without)
    return context.flatten(2), None if query_extra is None else read(query_extra).flatten(2)


def _heads(attention: Any, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, (b, heads, n, d / heads), without positions."""
    shape = (*hidden.shape[:-1], -1, attention.attention_head_size)
    query, key, value = (part(hidden).view(shape) for part in (attention.query, attention.key, attention.value))
    return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)


def _original(attention: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(b, n, heads, d / heads): the attention that the module would run, by the implementation that it is set to."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.vjepa2.modeling_vjepa2 import eager_attention_forward

    run = ALL_ATTENTION_FUNCTIONS.get_interface(attention.config._attn_implementation, eager_attention_forward)
    dropout = attention.dropout_prob if attention.training else 0.0
    context, _ = run(
        attention, query, key, value, None, is_causal=attention.is_causal, scaling=attention.scaling, dropout=dropout
    )
    return context


def run_predictor(
    predictor: Any,
    tokens: Float[Tensor, "b n d"],
    *,
    context_ids: Int[Tensor, "b n"],
    target_ids: Int[Tensor, "b m"],
    conditioning: Conditioning | None = None,
) -> Float[Tensor, "b m d"]:
    """What a VJEPA2Predictor says of places that may lie beyond the clip.

    Called by itself, since VJEPA2Model looks targets up in the encoder's output, where future ones are not.

    Args:
        predictor: the VJEPA2Predictor.
        tokens: of the context, all of which are read.
        context_ids: where each stands in the grid, counted row by row and tubelet by tubelet.
        target_ids: what is to be predicted, counted alike, on beyond the end of the clip.
        conditioning: what its attention takes beside them. The density is that of the context; targets have none.
    """
    if conditioning is None:
        # the tokens are gathered by number before their positions are: with all of them, in their order, it is no choice
        at = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape[:2])
        if torch.equal(at, context_ids):
            return predictor(
                encoder_hidden_states=tokens, context_mask=[context_ids], target_mask=[target_ids]
            ).last_hidden_state
    hidden, ids = predictor.embeddings(tokens, [context_ids], [target_ids])
    order = torch.argsort(ids, dim=1)
    hidden, ids = predictor.sort_tokens(hidden, ids, order)
    hidden = run_layers(
        predictor.layer, hidden, position_ids=ids, conditioning=_sorted(conditioning, target_ids.shape[1], order)
    )
    hidden = predictor.unsort_tokens(predictor.layernorm(hidden), order)
    return predictor.proj(hidden[:, tokens.shape[1] :])


def _sorted(conditioning: Conditioning | None, targets: int, order: Tensor) -> Conditioning | None:
    """The density, targets appended, in the order in which the predictor has its tokens."""
    if conditioning is None or conditioning.density is None:
        return conditioning
    density = F.pad(conditioning.density, (0, targets)).gather(1, order)
    c = conditioning
    return Conditioning(c.gate, c.extra, c.places, density, c.strength)
