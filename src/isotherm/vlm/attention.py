"""Attention of a language model, only the rows that are asked for.

Fused attention keeps no probabilities, and keeping them costs layers x heads x tokens squared. What is kept here are the
queries, keys and values that the graph holds anyway. A row of probabilities is computed from them when it is asked for, and so is
the gradient at it: from o = p v follows ds/dp = (ds/do) v^T, whatever kernel computed o.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.overrides import TorchFunctionMode

from isotherm.errors import MethodError


@dataclass(frozen=True, eq=False)
class Attending:
    """One layer's attention in a forward pass.

    Args:
        query: (b, a, l, e). key, value: (b, g, l, e) with g groups of heads. output: (b, a, l, e), with graph if there is one.
        mask: what was added to the products, or which keys may be seen; None: none but causality. causal: no query sees what is behind it.
    """

    query: Float[Tensor, "b a l e"]
    key: Float[Tensor, "b g l e"]
    value: Float[Tensor, "b g l f"]
    output: Float[Tensor, "b a l f"]
    mask: Tensor | None
    causal: bool
    scale: float

    def rows(self, row: int, queries: Int[Tensor, " q"] | slice) -> Float[Tensor, "a q l"]:
        """Probabilities of some queries of one row of the batch, in at least float32."""
        dtype = torch.promote_types(self.query.dtype, torch.float32)
        q, k = self.query[row][:, queries].to(dtype), self._heads(self.key[row]).to(dtype)
        products = (q * self.scale) @ k.transpose(-2, -1)
        if self.mask is not None:
            mask = self.mask.expand(*self.query.shape[:2], *self.mask.shape[-2:])[row][:, queries]
            products = products.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else products + mask.to(dtype)
        if self.causal:
            length = k.shape[-2]
            at = torch.arange(length, device=q.device)
            products = products.masked_fill(at > at[queries][:, None], -math.inf)
        return products.softmax(-1)

    def gradient_rows(
        self, gradient: Float[Tensor, "a q f"], row: int, keys: Int[Tensor, " k"] | slice = slice(None)
    ) -> Float[Tensor, "a q k"]:
        """Gradient at the probabilities of some queries on some keys from the gradient at the queries' outputs."""
        dtype = torch.promote_types(gradient.dtype, torch.float32)
        return gradient.to(dtype) @ self._heads(self.value[row][:, keys]).to(dtype).transpose(-2, -1)

    def _heads(self, grouped: Float[Tensor, "g l e"]) -> Float[Tensor, "a l e"]:
        return grouped.repeat_interleave(self.query.shape[1] // grouped.shape[0], 0)


@contextmanager
def attending() -> Iterator[list[Attending]]:
    """A list that fills with every self-attention done inside of the block; nothing is changed and the fused kernels run as always."""
    kept: list[Attending] = []
    with _Watch(kept):
        yield kept


@contextmanager
def hidden_keys(keys: Bool[Tensor, "b l"]) -> Iterator[None]:
    """Inside of the block nobody attends to these tokens but they themselves."""
    with _Hide(keys):
        yield


def need_layers(kept: Sequence[Attending], layers: int, job: str) -> None:
    """Refuse where not every layer has softmax attention that can be read."""
    if len(kept) != layers:
        raise MethodError(
            f"{job} reads the attention of every layer; {len(kept)} of {layers} layers of this language model go through torch's scaled_dot_product_attention. "
            "Load the model with attn_implementation='sdpa'; where its layers have linear attention there is nothing to read: choose integrated_gradients"
        )


class _Watch(TorchFunctionMode):
    def __init__(self, kept: list[Attending]) -> None:
        super().__init__()
        self.kept = kept

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[override]
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            query, key, value, mask, causal, scale = _arguments(*args, **kwargs)
            if query.ndim == 4 and query.shape[-2] == key.shape[-2]:
                self.kept.append(Attending(query.detach(), key.detach(), value.detach(), output, mask, causal, scale))
        return output


class _Hide(TorchFunctionMode):
    def __init__(self, keys: Tensor) -> None:
        super().__init__()
        self.keys = keys

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[override]
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        query, key, value, mask, causal, scale = _arguments(*args, **kwargs)
        length = key.shape[-2]
        near = torch.eye(length, dtype=torch.bool, device=query.device)
        seen = (
            ~self.keys.to(query.device)[:, None, None, :] | near
        )  # a token that sees nothing at all would be undefined
        if causal:
            seen = seen & near.cumsum(-1).bool().T  # lower triangle
        if mask is not None:
            seen = seen & mask if mask.dtype == torch.bool else mask.masked_fill(~seen, torch.finfo(mask.dtype).min)
        return func(query, key, value, attn_mask=seen, scale=scale, enable_gqa=query.shape[1] != key.shape[1])


def _arguments(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, *, scale=None, enable_gqa=False):
    return query, key, value, attn_mask, is_causal, 1 / math.sqrt(query.shape[-1]) if scale is None else scale
