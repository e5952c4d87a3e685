"""Token activation map: how strongly each vision token itself would say the answer's word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.vlm.trace import TokenTrace


@dataclass(frozen=True)
class TokenActivation:
    """relu(h_i . w), h_i the vision token behind the last layer and w the output weights of the answer's token, less
    what earlier words explain.

    One output column is read per token of the answer, never the whole vocabulary. What the same map of the tokens
    before (of the question's words and of the answer so far) has in common with it is taken off by least squares, and
    single bright tokens are damped by ranking them among their neighbours.

    Source: Li et al., "Token activation map to visually explain multimodal LLMs" (ICCV 2025), sections 3.2 to 3.4:
        activation, estimated causal inference, rank Gaussian filter; the interference is fitted here by non-negative
        least squares on the mean map.
    """

    name: str = "token_activation"
    signed: bool = False
    additive: bool = False
    needs: frozenset[str] = frozenset({"hidden"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        question = trace.question
        hidden = trace.hidden.float()
        seen = hidden[trace.positions.to(hidden.device)]
        forced = trace.target.continuations[0]
        maps = []
        for (row, step), token in zip(trace.target.steps, trace.target.tokens, strict=True):
            if row:
                continue
            before = [*question.prompt_tokens(), *forced[:step]]
            activation = (seen @ question.view.column(token).to(seen)).clamp(min=0)
            others = torch.stack(
                [(seen @ question.view.column(t).to(seen)).clamp(min=0) for t in before if t != token]
                or [torch.zeros_like(activation)]
            )
            weight = torch.softmax(others.norm(dim=-1), 0)
            common = weight @ others
            scale = (activation @ common / (common @ common).clamp(min=1e-12)).clamp(min=0)
            maps.append(ranked(question, (activation - scale * common).clamp(min=0)))
        return torch.stack(maps).mean(0)


def ranked(question, values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Each token's 3 x 3 neighbours, sorted and weighted by a Gaussian around their median: lone bright tokens are
    damped.

    Source: Li et al. 2025, eqs. 8 and 9.
    """
    out = values.clone()
    for start, picture in zip(question.prompt.first, question.prompt.pictures, strict=False):
        for grid in picture.grids:
            at = (start + grid.token).to(values.device)
            around = torch.nn.functional.unfold(
                torch.nn.functional.pad(values[at][None, None], (1, 1, 1, 1), mode="replicate"), 3
            )[0]
            order = around.sort(0).values
            middle = torch.arange(9, device=values.device) - 4.0
            # how unlike the neighbours are says how far around the median to look
            spread = (order.std(0) / order.mean(0).clamp(min=1e-12)).clamp(0.2, 4.0)
            weight = torch.exp(-middle[:, None].square() / (2 * (4 / (1 + spread)).square()))
            out[at.flatten()] = (order * weight).sum(0) / weight.sum(0)
    return out
