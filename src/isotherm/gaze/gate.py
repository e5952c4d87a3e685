"""Gates: factors that begin at 0, so that what lies behind them changes nothing until training opens them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Gate(nn.Module):
    """A parameter of zeros by which a branch is multiplied.

    At 0 the branch adds nothing, to the bit; the gate itself gets the gradient of what the branch would add. What lies
    within the branch gets gradients of exactly 0 until the gate has moved, which is why gates are modules: whoever
    looks for parameters without gradients has to know (:mod:`isotherm.gaze.trainable`).

    Args:
        shape: of the factors.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self, branch: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """The branch times the factors, which go with its last dimensions."""
        return self.weight * branch

    @property
    def closed(self) -> bool:
        """Whether all factors are 0."""
        return not bool(self.weight.any())


@contextmanager
def opened_gates(model: nn.Module, value: float = 0.1) -> Iterator[None]:
    """For the length of a block, all closed gates stand open.

    Args:
        model: whose gates.
        value: of all their factors.
    """
    closed = [m for m in model.modules() if isinstance(m, Gate) and m.closed]
    with torch.no_grad():
        for gate in closed:
            gate.weight.fill_(value)
    try:
        yield
    finally:
        with torch.no_grad():
            for gate in closed:
                gate.weight.zero_()
