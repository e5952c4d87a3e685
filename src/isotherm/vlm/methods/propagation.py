"""Relevance followed back through the language model and the vision tower, to the patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.origin import is_finite
from isotherm.relevance.grad_mode import differentiate
from isotherm.vlm.trace import TokenTrace


@dataclass(frozen=True)
class Propagation:
    """Gradient x (patch - mean patch) with norms taken for constants, the positive part of each patch, summed over a
    token's patches.

    Vision towers mix what lies far apart, so a token that an answer rests on need not lie on what it is about. Followed
    back to the pixels, relevance is where the evidence is. docs/vlm.md has what it costs.

    Source: Ali et al., "XAI for transformers: better explanations through conservative propagation" (ICML 2022), eqs. 7
        and 8, with the LN rule alone and with the mean patch as reference; Achtibat et al., "AttnLRP" (ICML 2024).
    """

    name: str = "propagation"
    signed: bool = False
    additive: bool = True
    needs: frozenset[str] = frozenset({"frozen_gradient", "tower"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        return self.together([trace])[0]

    def together(self, traces: Sequence[TokenTrace]) -> list[Float[Tensor, " n"]]:
        question = traces[0].question
        pixels, streams = question.tower()
        out = []
        for i, trace in enumerate(traces):
            # a stream without a graph does not depend on the pixels
            reached, gradients = zip(
                *(
                    (s, g[None].to(s))
                    for g, s in zip(trace.need_frozen_gradients(), streams, strict=True)
                    if s.requires_grad
                ),
                strict=True,
            )
            (gradient,) = differentiate(reached, [pixels], grad_outputs=gradients, retain_graph=i < len(traces) - 1)
            assert gradient is not None
            values = question.view.positive_per_token(question.prompt, pixels.detach(), gradient)
            # patches that were never seen count as 0 there, and what is no number must not become 0 among them
            out.append(values if is_finite(gradient) else torch.full_like(values, torch.nan))
        return out
