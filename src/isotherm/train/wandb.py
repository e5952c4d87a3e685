"""Figures to Weights & Biases: offline unless asked, the same run when gone on with, always finished."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.errors import MissingExtraError, OptionError
from isotherm.train.tracker import Tracker


class WandbTracker(Tracker):
    """A run there.

    Args:
        dpath: the run's folder; its path decides the id, so a run that is gone on with is one run there too.
        recipe: shown as the run's configuration.
        job: 'train' or 'eval'. Others: as of :class:`isotherm.train.tracking.Tracking`.

    Raises:
        MissingExtraError: wandb is not installed.
        OptionError: it refuses to start, such as online without a key.
    """

    def __init__(
        self,
        dpath: Path,
        recipe: Mapping[str, Any],
        *,
        job: str,
        project: str,
        entity: str | None,
        name: str | None,
        tags: Sequence[str],
        online: bool,
    ) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingExtraError("wandb", "track", "tracking by Weights & Biases") from error
        self.wandb = wandb
        try:
            self.run = wandb.init(
                project=project,
                entity=entity,
                name=name or dpath.name,
                tags=list(tags),
                mode="online" if online else "offline",
                dir=str(dpath),
                config=dict(recipe),
                job_type=job,
                id=hashlib.sha256(f"{dpath.resolve()} {job}".encode()).hexdigest()[:12],
                resume="allow" if online else None,
                settings=wandb.Settings(silent=True, console="off", x_disable_meta=True, x_disable_stats=True),
            )
        except wandb.errors.Error as error:
            raise OptionError(
                f"Weights & Biases does not start ({error}); run 'wandb login', or leave 'online' off and 'wandb sync' the run's folder later"
            ) from error
        # steps that are made again after a run was killed must not be refused for being in the past
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")

    def log(self, row: Mapping[str, float]) -> None:
        self.run.log(dict(row))

    def picture(self, name: str, rgb: np.ndarray, step: int) -> None:
        self.run.log({name: self.wandb.Image(rgb), "step": step})

    def finish(self, *, failed: bool) -> None:
        self.run.finish(exit_code=1 if failed else 0)
