"""Which vision token each value that a vision tower is fed goes to, read off gradients."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.relevance.grad_mode import differentiate


def tokens_of_values(tokens: Float[Tensor, "n c"], values: Tensor, *, seed: int = 0) -> Int[Tensor, " v"]:
    """For each value of an input the number of the token that it changes most; -1 where it changes none.

    Every token is pulled in a direction of chance. The gradient at a value then says how much it has to do with all of
    them, and that of the tokens whose number has a certain bit says whether that bit is in the number of the one that
    it belongs to. So as many gradients are taken as numbers have bits, and not as there are tokens.

    Args:
        tokens: made of the values, with their graph; attention should mix nothing on the way
            (:func:`isotherm.relevance.still.still_attention`).
        values: that need a gradient.
        seed: of the directions.
    """
    n = len(tokens)
    generator = torch.Generator().manual_seed(seed)
    pull = torch.randn(tokens.shape, generator=generator).to(tokens)

    def gradient(which: Tensor) -> Tensor:
        (at_values,) = differentiate(
            [tokens], [values], grad_outputs=[pull * which.to(tokens)[:, None]], retain_graph=True
        )
        assert at_values is not None
        return at_values.flatten().float()

    whole = gradient(torch.ones(n))
    number = torch.zeros(whole.shape, dtype=torch.long, device=whole.device)
    for bit in range((n - 1).bit_length()):
        has = torch.arange(n) >> bit & 1
        part = gradient(has)
        number += (part.abs() > (whole - part).abs()).long() << bit
    return torch.where((whole == 0) | (number >= n), -1, number)
