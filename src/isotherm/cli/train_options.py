"""The commands that train the networks that ship: a job's options, and what a console adds. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.cli.common_options import Common
from isotherm.jobs.train.shipped_options import TrainDetectorJob, TrainScenesJob, TrainTinyVlmJob


@dataclass(frozen=True, kw_only=True)
class TrainScenes(Common, TrainScenesJob):
    """Train the classifier of generated scenes; the same command goes on with a run that was interrupted."""


@dataclass(frozen=True, kw_only=True)
class TrainDetector(Common, TrainDetectorJob):
    """Train the heatmap detector of generated scenes; the same command goes on with a run that was interrupted."""


@dataclass(frozen=True, kw_only=True)
class TrainTinyVlm(Common, TrainTinyVlmJob):
    """Train the small vision-language model on questions about shapes; the same command goes on with a run that was interrupted."""
