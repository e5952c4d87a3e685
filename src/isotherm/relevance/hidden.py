"""Attention from which some tokens are hidden."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool
from torch import Tensor

from isotherm.relevance.attention import Arguments, AttentionInterceptor, Softmax


@contextmanager
def hidden_keys(keys: Bool[Tensor, "b l"]) -> Iterator[None]:
    """Inside of the block nobody attends to these tokens but they themselves."""
    with _Hide(keys):
        yield


class _Hide(AttentionInterceptor):
    def __init__(self, keys: Tensor) -> None:
        super().__init__()
        self.keys = keys

    def fused(self, call: Arguments) -> Tensor:
        seen, near = self._seen(call.query.device)
        if call.is_causal:
            seen = seen & near.cumsum(-1).bool().T  # lower triangle
        if (mask := call.attn_mask) is not None:
            seen = seen & mask if mask.dtype == torch.bool else mask.masked_fill(~seen, torch.finfo(mask.dtype).min)
        groups = call.query.shape[1] != call.key.shape[1]
        return super().fused(Arguments(call.query, call.key, call.value, seen, scale=call.factor, enable_gqa=groups))

    def written_out(self, products: Tensor, softmax: Softmax) -> Tensor:
        if products.shape[-1] != self.keys.shape[-1]:
            return softmax(products)
        seen, _ = self._seen(products.device)
        return softmax(products.masked_fill(~seen, torch.finfo(products.dtype).min))

    def written_out_with_sink(self, products: Tensor, softmax: Softmax) -> Tensor:
        tokens, sink = products[..., :-1], products[..., -1:]
        return self.written_out(tokens, lambda hidden: softmax(torch.cat([hidden, sink], -1)))

    def _seen(self, device: torch.device) -> tuple[Bool[Tensor, "b 1 l l"], Bool[Tensor, "l l"]]:
        near = torch.eye(self.keys.shape[-1], dtype=torch.bool, device=device)
        # a token that sees nothing at all would be undefined
        return ~self.keys.to(device)[:, None, None, :] | near, near
