"""Attention followed through all layers: rollout, and Chefer's relevance. One row of a product of matrices, layer by
layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.vlm.trace import LayerRows, TokenTrace

CHUNK = 256
"""Queries whose probabilities exist at a time."""


@dataclass(frozen=True)
class Rollout:
    """The answer's row of the product of (A + 1) / 2 over the layers, A the mean of the heads.

    Source: Abnar & Zuidema, "Quantifying attention flow in transformers" (ACL 2020), section 3.
    """

    name: str = "rollout"
    signed: bool = False
    additive: bool = True
    needs: frozenset[str] = frozenset({"attention"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        return _followed(trace, lambda layer, some: layer.probabilities(some).mean(0), keep=0.5)


@dataclass(frozen=True)
class Chefer:
    """The answer's row of the product of 1 + mean over heads of relu(A x gradient).

    Source: Chefer, Gur & Wolf, "Generic attention-model explainability" (ICCV 2021), eqs. 5 and 6, for self-attention.
    """

    name: str = "chefer"
    signed: bool = False
    additive: bool = True
    needs: frozenset[str] = frozenset({"attention", "attention_gradient"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        return _followed(
            trace,
            lambda layer, some: (layer.probabilities(some) * layer.gradients(some)).clamp(min=0).mean(0),
            keep=1.0,
        )


def _followed(trace: TokenTrace, matrix, *, keep: float) -> Float[Tensor, " n"]:
    flows = []
    for read in trace.reads:
        length = read[0].call.tokens
        flow = torch.zeros(length, dtype=torch.float32, device=read[0].call.value.device)
        flow[read[0].queries] = 1 / max(1, len(read[0].queries))
        for layer in reversed(read):
            flow = keep * flow + (1 - keep if keep < 1 else 1.0) * _through(layer, flow, matrix)
        flows.append(flow[trace.positions.to(flow.device)])
    return torch.stack(flows).mean(0)


def _through(layer: LayerRows, flow: Float[Tensor, " l"], matrix) -> Float[Tensor, " l"]:
    """flow @ A, a few rows of A at a time, and only rows that anything flows through."""
    total = torch.zeros_like(flow)
    for some in torch.nonzero(flow).flatten().split(CHUNK):
        total += flow[some] @ matrix(layer, some).to(flow)
    return total
