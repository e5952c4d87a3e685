"""A recipe for anticipation: everything that decides a trained model, as one YAML file says it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from isotherm.errors import OptionError
from isotherm.train.anticipation.build import AnticipationChoice
from isotherm.train.anticipation.source import ClipsChoice
from isotherm.train.anticipation.task import AnticipationTraining
from isotherm.train.devices import Devices
from isotherm.train.tracking import Tracking


@dataclass(frozen=True, kw_only=True)
class AnticipationRecipe:
    """Data, model and training decide the numbers; devices and tracking do not.

    Args:
        data: what to learn from.
        model: video model, fusion and probe.
        training: how.
        recall_k: how many answers count as one in the recall that models are judged by.
        devices: where.
        tracking: who is told.
    """

    data: ClipsChoice
    model: AnticipationChoice = field(default_factory=AnticipationChoice)
    training: AnticipationTraining = field(default_factory=AnticipationTraining)
    recall_k: int = 5
    devices: Devices = field(default_factory=Devices)
    tracking: Tracking = field(default_factory=Tracking)

    def __post_init__(self) -> None:
        if self.recall_k < 1:
            raise OptionError(f"recall_k is {self.recall_k}; expected a number of answers of at least 1")

    def deciding(self) -> dict[str, Any]:
        """The parts that decide the numbers, as plain data."""
        return {
            "data": asdict(self.data),
            "model": asdict(self.model),
            "training": asdict(self.training),
            "recall_k": self.recall_k,
        }
