"""Relevance followed back through the language model and the vision tower, to the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.origin import is_finite
from isotherm.relevance.grad_mode import differentiate
from isotherm.vlm.fine_cells import blurred, fine_cells
from isotherm.vlm.tokens import PictureTokens
from isotherm.vlm.trace import TokenTrace
from isotherm.vlm.view import PromptInputs


@dataclass(frozen=True)
class Propagation:
    """Gradient x (pixel - that of the mean patch) with norms taken for constants, summed over cells an eighth of a
    vision token wide; their positive part, blurred by three eighths of a token.

    Vision towers mix what lies far apart, so a token that an answer rests on need not lie on what it is about, and it
    is coarse. Followed back to the pixels, relevance is where the evidence is. docs/vlm.md has what it costs.

    Source: Ali et al., "XAI for transformers: better explanations through conservative propagation" (ICML 2022), eqs. 7
        and 8, with the LN rule alone and with the mean patch as reference; Achtibat et al., "AttnLRP" (ICML 2024).
    """

    name: str = "propagation"
    signed: bool = False
    additive: bool = True
    needs: frozenset[str] = frozenset({"frozen_gradient", "tower"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})
    covers: ClassVar[bool] = False

    def places(self, prompt: PromptInputs) -> tuple[PictureTokens, ...]:
        return fine_cells(prompt)

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        return self.together([trace])[0]

    def together(self, traces: Sequence[TokenTrace]) -> list[Float[Tensor, " n"]]:
        question = traces[0].question
        pixels, streams = question.tower()
        places = fine_cells(question.prompt)
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
            values = question.view.positive_per_cell(question.prompt, pixels.detach(), gradient, places)
            # values of no place are left out there, and what is no number must not be lost with them
            out.append(blurred(values, places) if is_finite(gradient) else torch.full_like(values, torch.nan))
        return out
