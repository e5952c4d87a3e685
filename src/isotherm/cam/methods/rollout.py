"""Attention rollout: how much of each cell has flowed, through all blocks, into the token that is read out.

Abnar & Zuidema, "Quantifying attention flow in transformers" (ACL 2020), section 3. It does not depend on the score:
all targets of one picture get the same map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.trace import AttentionTrace, LayerMap, Trace
from isotherm.errors import MethodError

Query = Literal["auto", "first", "cells"]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Product over the blocks of (1 - residual) A + residual I, rows normalised; never negative.

    Args:
        heads: how a block's heads become one matrix: their mean (the paper), maximum or minimum.
        residual: share that the skip connection carries past the attention, 0.5 in the paper.
        discard: share of each block's attention values, the smallest, that is set to 0 first; 0 in the paper.
        query: whose row is the map. ``first`` token (a class token), the mean over the ``cells`` (models that pool
            them), or ``auto``: the first token where the model has tokens in front of the cells.
    """

    heads: Literal["mean", "max", "min"] = "mean"
    residual: float = 0.5
    discard: float = 0.0
    query: Query = "auto"

    name: ClassVar[str] = "Rollout"
    signed: ClassVar[bool] = False
    explains: ClassVar[frozenset[str]] = frozenset({"pictures"})
    needs: ClassVar[frozenset[str]] = frozenset({"attention"})

    def __post_init__(self) -> None:
        if self.heads not in ("mean", "max", "min"):
            raise MethodError(f"heads is {self.heads!r}; expected mean, max or min")
        if self.query not in ("auto", "first", "cells"):
            raise MethodError(f"query is {self.query!r}; expected auto, first or cells")
        if not 0 <= self.residual < 1:
            raise MethodError(f"residual is {self.residual}; it is the skip connection's share, from 0 to less than 1")
        if not 0 <= self.discard < 1:
            raise MethodError(
                f"discard is {self.discard}; it is a share of the attention values, from 0 to less than 1"
            )

    def __call__(self, trace: Trace) -> list[LayerMap]:
        blocks = need_attention(trace)
        flow = self.matrix(blocks[0])
        for block in blocks[1:]:
            flow = self.matrix(block) @ flow
        last = blocks[-1]
        row = flow[:, 0] if first_token(self.query, last.prefix) else flow[:, last.prefix :].mean(1)
        return [LayerMap("attention", over_cells(row, last), last.frame)]

    def matrix(self, block: AttentionTrace) -> Float[Tensor, "t n n"]:
        """One block's attention with the skip connection, rows summing to 1."""
        p = block.probabilities.to(torch.promote_types(block.probabilities.dtype, torch.float32))
        fused = p.mean(1) if self.heads == "mean" else p.amax(1) if self.heads == "max" else p.amin(1)
        if self.discard:
            flat = fused.flatten(1)
            count = int(flat.shape[1] * self.discard)
            lowest = flat.topk(count, dim=1, largest=False).indices
            fused = flat.scatter(1, lowest, 0.0).reshape(fused.shape)
        skip = torch.eye(fused.shape[-1], dtype=fused.dtype, device=fused.device)
        mixed = (1 - self.residual) * fused + self.residual * skip
        return mixed / mixed.sum(-1, keepdim=True).clamp(min=torch.finfo(mixed.dtype).tiny)


def need_attention(trace: Trace) -> tuple[AttentionTrace, ...]:
    """The attention blocks; MethodError where there are none or they do not form a chain."""
    if not trace.attention:
        raise MethodError(
            "this method reads attention over the whole picture, but the trace has none: the model is no plain vision "
            "transformer (CNN, windowed Swin), or it was recorded without; use a method such as hirescam"
        )
    sizes = {block.probabilities.shape[-1] for block in trace.attention}
    if len(sizes) > 1:
        raise MethodError(
            f"the blocks attend over different numbers of tokens {sorted(sizes)}, so they cannot be chained; use a gradient method such as hirescam"
        )
    return trace.attention


def first_token(query: str, prefix: int) -> bool:
    """Whether the first token's row is the map; MethodError where there is no such token."""
    if query == "first" and prefix == 0:
        raise MethodError("this model has no token in front of the cells; use query='cells'")
    return query == "first" or (query == "auto" and prefix > 0)


def over_cells(row: Float[Tensor, "t n"], block: AttentionTrace) -> Float[Tensor, "t h w"]:
    """Tokens behind the prefix, row by row, as the map of the block's frame."""
    return row[:, block.prefix :].unflatten(1, block.frame.size)


rollout = Rollout()
