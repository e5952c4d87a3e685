"""What makes a model's probabilities of its logits, where that is known."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Activation = Literal["softmax", "sigmoid"]
"""One softmax over all classes, which exclude each other; or a sigmoid for each class."""


def probabilities(logits: Float[Tensor, "b k"], activation: Activation) -> Float[Tensor, "b k"]:
    """The probabilities of a batch's classes, on the CPU.

    In double precision: a softmax of a thousand half-precision logits is off in its second digit.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0]])
        >>> probabilities(logits, "softmax").tolist(), probabilities(logits - 9, "sigmoid").mul(1e4).int().tolist()
        ([[0.5, 0.5]], [[1, 1]])
    """
    exact = logits.detach().cpu().double()
    return (exact.softmax(1) if activation == "softmax" else exact.sigmoid()).to(torch.float32)
