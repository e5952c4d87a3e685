"""What may look at a model's outputs while it trains: it gives figures to log, and an alarm where the run has gone
wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor


class Watch(ABC):
    """Abstract: looks at the maps of one part of every batch. Its state is kept in checkpoints, so it must be plain
    data.
    """

    @abstractmethod
    def look(self, maps: Float[Tensor, "b n h w"], *, step: int) -> dict[str, float]:
        """Figures of these maps, to be logged; ``step`` counts from 0."""

    def warnings(self) -> list[str]:
        """What has to be told since the last call and does not end the run; nothing unless a watch has it."""
        return []

    @property
    @abstractmethod
    def alarmed(self) -> bool:
        """True where something has gone wrong."""

    @abstractmethod
    def message(self, loss: float) -> str:
        """What has gone wrong and what to do about it, for a person; ``loss``: of the present step."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` takes."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
