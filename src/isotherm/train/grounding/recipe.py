"""A recipe for grounding: everything that decides a trained model, as one YAML file says it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from isotherm.errors import OptionError
from isotherm.train.devices import Devices
from isotherm.train.grounding.build import GroundingChoice
from isotherm.train.grounding.data import InstructionChoice
from isotherm.train.grounding.task import GroundingTraining
from isotherm.train.tracking import Tracking


@dataclass(frozen=True, kw_only=True)
class GroundingRecipe:
    """Data, model and training decide the numbers; devices and tracking do not.

    Args:
        data: what to learn from.
        model: language model and head.
        training: how.
        within_cells: how far from the place, along either axis, an answer may be to count as right.
        most_risk: share of wrong answers among those given that the rule of abstention promises.
        devices: where.
        tracking: who is told.
    """

    data: InstructionChoice
    model: GroundingChoice = field(default_factory=GroundingChoice)
    training: GroundingTraining = field(default_factory=GroundingTraining)
    within_cells: float = 2.0
    most_risk: float = 0.1
    devices: Devices = field(default_factory=Devices)
    tracking: Tracking = field(default_factory=Tracking)

    def __post_init__(self) -> None:
        if not 0 < self.within_cells < float("inf") or not 0 < self.most_risk < 1:
            raise OptionError(
                f"within_cells is {self.within_cells} and most_risk {self.most_risk}; expected a distance above 0, and a share between 0 and 1"
            )

    def deciding(self) -> dict[str, Any]:
        """The parts that decide the numbers, as plain data."""
        return {
            "data": asdict(self.data),
            "model": asdict(self.model),
            "training": asdict(self.training),
            "within_cells": self.within_cells,
            "most_risk": self.most_risk,
        }
