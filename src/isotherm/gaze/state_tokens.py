"""A learned vector for each state of gaze, so that "not known" and "looks elsewhere" are no zeros."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.data.gaze.states import GazeState
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
            nn.init.trunc_normal_(self.vectors, std=0.5)

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
