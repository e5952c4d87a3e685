"""LeGrad: where each block's attention would have to grow for the score to grow.

Bousselham et al., "LeGrad: An explainability method for vision transformers via feature formation sensitivity"
(2024), eqs. 6-10: the ReLU of the score's gradient at the attention probabilities, averaged over heads and queries
and over the blocks. In the paper each block is asked for *its own* score, what the classifier says of the tokens
behind that block. With the final score for all blocks, which needs nothing but a backward pass, the map is another
one; it is offered under its own name, ``legrad_final``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.methods.rollout import need_attention, over_cells
from isotherm.cam.trace import AttentionTrace, LayerMap, Trace
from isotherm.errors import MethodError


@dataclass(frozen=True, kw_only=True)
class LeGrad:
    """Mean over blocks, heads and queries of relu(ds/dA), on the cells as keys; never negative.

    Args:
        score: ``own``, each block's own score (the paper), or ``final``, the model's score for all blocks.
    """

    score: Literal["own", "final"] = "own"

    signed: ClassVar[bool] = False
    explains: ClassVar[frozenset[str]] = frozenset({"pictures"})

    def __post_init__(self) -> None:
        if self.score not in ("own", "final"):
            raise MethodError(f"score is {self.score!r}; expected own or final")

    @property
    def name(self) -> str:
        return "LeGrad" if self.score == "own" else "LeGrad (final score)"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"attention", "attention_own_gradient" if self.score == "own" else "attention_gradient"})

    def __call__(self, trace: Trace) -> list[LayerMap]:
        blocks = need_attention(trace)
        total = torch.stack([self._keys(block) for block in blocks]).mean(0)
        return [LayerMap("attention", over_cells(total, blocks[-1]), blocks[-1].frame)]

    def _keys(self, block: AttentionTrace) -> Float[Tensor, "t n"]:
        gradient = self._gradient(block)
        return gradient.to(torch.promote_types(gradient.dtype, torch.float32)).clamp(min=0).mean((1, 2))

    def _gradient(self, block: AttentionTrace) -> Tensor:
        if self.score == "final":
            if block.gradient is None:
                raise MethodError(
                    f"this method needs the score's gradient at the attention of {block.name}, but the trace was recorded without"
                )
            return block.gradient
        if block.own_gradient is None:
            raise MethodError(
                f"LeGrad asks every block for its own score, and the trace has none for {block.name}: the model's adapter cannot "
                "read a score from the tokens behind a block; use legrad_final, which takes the model's score for all blocks"
            )
        return block.own_gradient


legrad = LeGrad()
legrad_final = LeGrad(score="final")
