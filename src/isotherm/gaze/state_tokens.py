"""A learned vector for each state of gaze, so that "not known" and "looks elsewhere" are no zeros."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.data.gaze.states import GazeState
from isotherm.gaze.gate import Gate
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.maps import pool_frames

States = Literal["tokens", "zeros"]
"""tokens: a learned vector for tracked, missing and out of frame each. zeros: none; all that is not tracked is a map of
zeros, as is usual, for comparison."""


class StateTokens(nn.Module):
    """Learned vectors of states.

    Args:
        size: of a vector.
        states: see :data:`States`; with 'zeros' there are no parameters and all vectors are 0.
    """

    def __init__(self, size: int, states: States = "tokens") -> None:
        super().__init__()
        self.size = size
        self.vectors = nn.Parameter(torch.empty(len(GazeState), size)) if states == "tokens" else None
        if self.vectors is not None:
            nn.init.trunc_normal_(self.vectors, std=1.0)

    def forward(self, gaze: GazeInputs) -> Float[Tensor, "b t d"]:
        """One vector per frame."""
        if self.vectors is None:
            return gaze.confidence.new_zeros(*gaze.state.shape, self.size)
        return self.vectors[gaze.state]

    def tubelets(self, gaze: GazeInputs, tubelet: int) -> Float[Tensor, "b m d"]:
        """The mean of the frames' vectors in each tubelet.

        Args:
            gaze: of clips.
            tubelet: frames.
        """
        return pool_frames(self(gaze), tubelet) / tubelet


class AddedStates(nn.Module):
    """The states' vectors of a tubelet added to all of its tokens, through a gate per channel of their own.

    With the gate of what is added where somebody looked, they would be learned only after that, and in the channels
    that it opens.

    Args:
        size: of a token.
        states: see :data:`States`; with 'zeros' nothing is added, and there are no parameters.
    """

    def __init__(self, size: int, states: States) -> None:
        super().__init__()
        self.states = StateTokens(size, states) if states == "tokens" else None
        self.gate = Gate(size) if states == "tokens" else None

    def forward(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs, tubelet: int) -> Float[Tensor, "b n d"]:
        """The tokens with the vectors of their tubelets' states.

        Args:
            tokens: in the order of their tubelets.
            gaze: of the same clips.
            tubelet: frames.
        """
        if self.states is None or self.gate is None:
            return tokens
        vectors = self.states.tubelets(gaze, tubelet)
        return tokens + self.gate(vectors.repeat_interleave(tokens.shape[1] // vectors.shape[1], dim=1))
