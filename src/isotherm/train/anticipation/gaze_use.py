"""What a model is told of gaze: the truth, or what an ablation puts in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Int
from torch import Tensor

from isotherm.data.keypoint_augment import mixed_seed
from isotherm.errors import OptionError
from isotherm.gaze.inputs import GazeInputs, derangement

Condition = Literal["real", "missing", "shuffled", "shifted", "centre"]
"""real: as it is. missing: nothing is known. shuffled: that of another clip of the same batch. shifted: that of other
moments of the same clip. centre: the middle of every frame.
"""


@dataclass(frozen=True, kw_only=True)
class GazeUse:
    """What is made of the gaze of a set before a model gets it.

    Args:
        condition: see :data:`Condition`.
        shift: by how many frames 'shifted' gaze is late.
        dropout: share of the clips, in training, of which the model is told nothing.
        blind: the pictures are grey, so that gaze alone is left.
    """

    condition: Condition = "real"
    shift: int = 4
    dropout: float = 0.0
    blind: bool = False

    def __post_init__(self) -> None:
        if self.condition not in get_args(Condition):
            raise OptionError(f"condition is {self.condition!r}; expected one of {', '.join(get_args(Condition))}")
        if not 0 <= self.dropout < 1:
            raise OptionError(f"dropout is {self.dropout}; expected a share from 0 to less than 1")

    def of(self, gaze: GazeInputs, *, seed: int) -> GazeInputs:
        """The gaze as the model is told, dropout left out.

        Args:
            gaze: of a batch, of two clips at least where it is shuffled.
            seed: of the order of shuffled gaze.
        """
        if self.condition == "missing":
            return gaze.where_missing(torch.ones_like(gaze.state, dtype=torch.bool))
        if self.condition == "shuffled":
            return gaze.shuffled(derangement(len(gaze), torch.Generator().manual_seed(seed)))
        if self.condition == "shifted":
            return gaze.shifted(self.shift)
        return gaze.centred() if self.condition == "centre" else gaze

    def in_training(
        self, gaze: GazeInputs, index: Int[Tensor, " b"], epoch: Int[Tensor, " b"], seed: int
    ) -> GazeInputs:
        """The same with dropout, decided by the seed and each clip's number and epoch alone.

        Args:
            gaze: of a batch.
            index, epoch: of its clips.
            seed: of the training.
        """
        numbers = list(zip(epoch.tolist(), index.tolist(), strict=True))
        known = self.of(gaze, seed=mixed_seed(seed, *numbers[0]))
        if not self.dropout:
            return known
        draws = [
            torch.rand(1, generator=torch.Generator().manual_seed(mixed_seed(seed + 1, *number))) for number in numbers
        ]
        gone = torch.cat(draws) < self.dropout
        return known.where_missing(gone[:, None].expand_as(gaze.state).to(gaze.state.device))
