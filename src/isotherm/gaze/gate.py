"""Gates: factors that begin at 0, so that what lies behind them changes nothing until training opens them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

SPEED = 4.0
"""A gate is its parameter times this. An optimiser such as Adam moves every number by about its rate: a matrix has its
effect at once, since hundreds of entries add up, where a gate alone needs hundreds of steps. On generated clips in
which gaze that leaves the picture has its own action, five times the rate made 92 % of them right 100 % in as many
epochs (one seed). It is a power of 2, so that files can hold the factors themselves, to the bit.
"""


class Gate(nn.Module):
    """A parameter of zeros by which a branch is multiplied, :data:`SPEED` times.

    At 0 the branch adds nothing, to the bit; the gate itself gets the gradient of what the branch would add. What lies
    within the branch gets gradients of exactly 0 until the gate has moved, which is why gates are modules: whoever
    looks for parameters without gradients has to know (:mod:`isotherm.gaze.trainable`). Its state dict has the factors
    by which it multiplies, not the smaller parameter that an optimiser moves.

    Args:
        shape: of the factors.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))
        self.register_state_dict_post_hook(_factors_saved)
        self.register_load_state_dict_pre_hook(_factors_loaded)

    def forward(self, branch: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """The branch times the factors, which go with its last dimensions."""
        return self.factors * branch

    @property
    def factors(self) -> Float[Tensor, "*shape"]:
        """What branches are multiplied by."""
        return SPEED * self.weight

    @property
    def closed(self) -> bool:
        """Whether all factors are 0."""
        return not bool(self.weight.any())


def _factors_saved(gate: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    state[f"{prefix}weight"] = state[f"{prefix}weight"] * SPEED


def _factors_loaded(gate: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    if (name := f"{prefix}weight") in state:
        state[name] = state[name] / SPEED


@contextmanager
def opened_gates(model: nn.Module, value: float = 0.5) -> Iterator[None]:
    """For the length of a block, all closed gates stand open.

    Args:
        model: whose gates.
        value: of all their factors.
    """
    closed = [m for m in model.modules() if isinstance(m, Gate) and m.closed]
    with torch.no_grad():
        for gate in closed:
            gate.weight.fill_(value / SPEED)
    try:
        yield
    finally:
        with torch.no_grad():
            for gate in closed:
                gate.weight.zero_()
