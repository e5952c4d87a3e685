"""Attention that passes nothing on: what tokens are before it mixes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from isotherm.relevance.attention import Arguments, AttentionInterceptor, Softmax


@contextmanager
def still_attention() -> Iterator[None]:
    """Inside of the block every token attends to itself alone, whatever the queries, keys and masks say.

    Cross-attention, which has other keys than queries, is left as it is: it may be the only way by which anything of a
    picture reaches what follows.
    """
    with _Still():
        yield


class _Still(AttentionInterceptor):
    def fused(self, call: Arguments) -> Tensor:
        if call.query.shape[-2] != call.key.shape[-2]:
            return super().fused(call)
        groups = call.query.shape[-3] // call.value.shape[-3] if call.enable_gqa else 1
        return call.value.repeat_interleave(groups, -3) if groups > 1 else call.value.clone()

    def written_out(self, products: Tensor, softmax: Softmax) -> Tensor:
        return self.without_sink(products)

    def without_sink(self, probabilities: Tensor) -> Tensor:
        itself = torch.eye(probabilities.shape[-1], dtype=probabilities.dtype, device=probabilities.device)
        return itself.expand(probabilities.shape)
