"""Relevance followed back through the language model and the vision tower, to the patches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.vlm.frozen import frozen_norms
from isotherm.vlm.trace import TokenTrace


@dataclass(frozen=True)
class Propagation:
    """Gradient x (patch - mean patch) with norms taken for constants, the positive part of each patch, summed over a token's patches.

    Vision towers mix what lies far apart, so a token that an answer rests on need not lie on what it is about. Followed back
    to the pixels, relevance is where the evidence is. It costs a graph of the whole model: about 2.7 forward passes.

    Source: Ali et al., "XAI for transformers: better explanations through conservative propagation" (ICML 2022), eqs. 7 and 8, with the LN rule alone and
    with the mean patch as reference; Achtibat et al., "AttnLRP" (ICML 2024).
    """

    name: str = "propagation"
    signed: bool = False
    additive: bool = True
    needs: frozenset[str] = frozenset()

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        asking, said = trace.asking, trace.said
        with torch.inference_mode(False), torch.enable_grad():
            pixels = asking.view.pixels(asking.asked).detach().clone().requires_grad_()
            with frozen_norms():
                rows = [asking.view.read_pixels(asking.asked, pixels, c) for c in said.continuations]
            value = said.value([row.float() for row in rows])
            (gradient,) = torch.autograd.grad(value, pixels)
        return asking.view.positive_per_token(asking.asked, pixels.detach(), gradient)
