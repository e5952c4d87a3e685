"""Where figures go while a run goes on, beside its own metrics.csv: Weights & Biases, TensorBoard, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from isotherm.errors import OptionError
from isotherm.train.tracker import NoTracker, Tracker

Name = Literal["csv", "wandb", "tensorboard"]


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Which tracker, and how the run is called there.

    Args:
        to: 'csv': the run's own metrics.csv alone; 'wandb' or 'tensorboard' as well.
        project, entity, name, tags: of Weights & Biases; without a name it is the run folder's.
        online: send while running; otherwise it stays in the run's folder, for ``wandb sync``.
    """

    to: Name = "csv"
    project: str = "isotherm"
    entity: str | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    online: bool = False

    def __post_init__(self) -> None:
        if self.to not in get_args(Name):
            raise OptionError(f"to is {self.to!r}; expected one of {', '.join(get_args(Name))}")

    def tracker(self, dpath: Path, recipe: Mapping[str, Any], *, job: str = "train") -> Tracker:
        """The tracker of a run in a folder; use it as a context manager, so that it is finished whatever happens.

        Raises:
            MissingExtraError: its package is not installed.
        """
        if self.to == "wandb":
            from isotherm.train import wandb

            return wandb.WandbTracker(
                dpath,
                recipe,
                job=job,
                project=self.project,
                entity=self.entity,
                name=self.name,
                tags=self.tags,
                online=self.online,
            )
        if self.to == "tensorboard":
            from isotherm.train import tensorboard

            return tensorboard.TensorBoardTracker(dpath)
        return NoTracker()
