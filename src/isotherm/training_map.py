"""TrainingMap: the maps that a model shall predict, and beside them what is known of each; the type that every maker
returns.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.heatmap import Heatmap
from isotherm.points import State


@dataclass(frozen=True, eq=False)
class TrainingMap:
    """Maps to be predicted.

    Args:
        heatmap: values with kind and frame.
        state: of :class:`isotherm.points.State`, one for everything that the maps were made from: the shape is said by
            the maker. A map of zeros can mean "nothing is there" (ABSENT, and OUT_OF_FRAME under the policy
            'background') or "nothing is known" (UNLABELLED); only the state tells them apart, so a loss must read it.

    Raises:
        ShapeError: the states belong to other pictures than the maps.
    """

    heatmap: Heatmap
    state: Int[Tensor, "*s"]

    def __post_init__(self) -> None:
        lead = tuple(self.heatmap.frame.batch_shape)
        if lead != tuple(self.state.shape[: len(lead)]):
            raise ShapeError(
                f"state has shape {tuple(self.state.shape)}, the frame batch {lead}; it must begin with it"
            )

    @property
    def known(self) -> Tensor:
        """Where something is known, so that a loss may count it: every state but UNLABELLED; boolean, shaped as
        ``state``.
        """
        return self.state != int(State.UNLABELLED)
