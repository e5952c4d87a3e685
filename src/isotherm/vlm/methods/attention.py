"""Maps from attention: how much the answer's queries look at each vision token, by itself or where the score gains from
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.ops.names import known_word
from isotherm.vlm.question import AnswerTarget
from isotherm.vlm.trace import LayerRows, TokenTrace, record

CHUNK = 256
"""Queries whose probabilities exist at a time."""


@dataclass(frozen=True)
class Attention:
    """Probabilities of the answer's queries on the vision tokens, mean over layers, heads and queries.

    It says where the model looks, whatever is asked of it; see :class:`RelativeAttention`.
    """

    name: str = "attention"
    signed: bool = False
    additive: bool = True
    needs: frozenset[str] = frozenset({"attention"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        return mean_rows(trace, lambda layer: layer.probabilities())


@dataclass(frozen=True)
class AttentionGradient:
    """Attention x relu(gradient at it), mean over layers and heads, sum over queries: looked at, and the score gains
    from it.

    Args:
        queries: of ``all`` tokens, since a word of the question may have looked for the answer; or of the ``answer``
            alone, which is what is mostly done.

    Source: Chefer, Gur & Wolf, "Generic attention-model explainability" (ICCV 2021), eq. 5, summed over queries rather
        than multiplied through layers.
    """

    queries: Literal["all", "answer"] = "all"
    name: str = "attention_gradient"
    signed: bool = False
    additive: bool = True
    needs: frozenset[str] = frozenset({"attention", "attention_gradient"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __post_init__(self) -> None:
        known_word(self.queries, ("all", "answer"), "queries")

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        return self.together([trace])[0]

    def together(self, traces: Sequence[TokenTrace]) -> list[Float[Tensor, " n"]]:
        if self.queries == "answer":
            return [
                mean_rows(trace, lambda layer: layer.probabilities() * layer.gradients().clamp(min=0))
                for trace in traces
            ]
        # targets that were read in one row have the same probabilities
        alike: dict[tuple[int, int], list[tuple[int, LayerRows]]] = {}
        for i, trace in enumerate(traces):
            for layer in (layer for read in trace.reads for layer in read):
                alike.setdefault((id(layer.call), layer.row), []).append((i, layer))
        sums: list[list[Tensor]] = [[] for _ in traces]
        for several in alike.values():
            call = several[0][1].call
            at = traces[several[0][0]].positions.to(call.value.device)
            totals = [
                torch.zeros(
                    len(at), dtype=torch.promote_types(call.value.dtype, torch.float32), device=call.value.device
                )
                for _ in several
            ]
            for some in torch.arange(call.tokens).split(CHUNK):
                looked = several[0][1].probabilities(some)[..., at]
                for total, (_, layer) in zip(totals, several, strict=True):
                    total += layer.gradients(some, at).clamp_(min=0).mul_(looked).sum((0, 1)) / len(looked)
            for total, (i, _) in zip(totals, several, strict=True):
                sums[i].append(total)
        return [torch.stack(parts).mean(0) for parts in sums]


@dataclass(frozen=True)
class RelativeAttention:
    """Attention over that for a question about nothing in particular, so that sinks and the bright middle cancel.

    Args:
        generic: the question; its words must be in the model's vocabulary.

    Source: Zhang et al., "MLLMs know where to look" (ICLR 2025), eq. 4; theirs is of one layer chosen by hand, this the
        mean of all.
    """

    generic: str = "Write a general description of the image."
    name: str = "relative_attention"
    signed: bool = False
    additive: bool = False
    needs: frozenset[str] = frozenset({"attention"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        question = trace.question
        here = Attention()(trace)
        plain = AnswerTarget("generic", ((),), lambda rows: rows[0].sum(), ((0, 0),), (0,))
        (generic,) = record(question.again(self.generic), [plain], frozenset({"attention"}))
        there = Attention()(generic)
        return here / there.clamp(min=torch.finfo(there.dtype).tiny)


def mean_rows(trace: TokenTrace, of, *, layers: slice = slice(None)) -> Float[Tensor, " n"]:
    """Mean over the rows that are read, their layers, heads and queries, at the vision tokens."""
    rows = []
    for read in trace.reads:
        for layer in read[layers]:
            rows.append(_at_pictures(layer, of, trace))
    return torch.stack(rows).mean(0)


def _at_pictures(layer: LayerRows, of, trace: TokenTrace) -> Float[Tensor, " n"]:
    values: Tensor = of(layer)
    return values[..., trace.positions.to(values.device)].mean((0, 1))
