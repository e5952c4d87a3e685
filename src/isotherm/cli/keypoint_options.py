"""The commands for keypoints and sweeps: a job's options, and what a console adds. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.cli.common_options import Common
from isotherm.jobs.evaluate.keypoints_options import EvalKeypointsJob
from isotherm.jobs.predict.keypoints_options import PredictKeypointsJob
from isotherm.jobs.sweep.options import SweepJob
from isotherm.jobs.train.keypoints_options import TrainKeypointsJob


@dataclass(frozen=True, kw_only=True)
class TrainKeypoints(Common, TrainKeypointsJob):
    """Train a model that finds keypoints; killed at any moment, it goes on with --resume."""


@dataclass(frozen=True, kw_only=True)
class EvalKeypoints(Common, EvalKeypointsJob):
    """Judge a trained model on labelled pictures: a table, figures, the best and the worst pictures."""


@dataclass(frozen=True, kw_only=True)
class PredictKeypoints(Common, PredictKeypointsJob):
    """Find keypoints: drawn with the ellipses that hold them with 95 %, and as JSON."""


@dataclass(frozen=True, kw_only=True)
class Sweep(Common, SweepJob):
    """Train a recipe many times with other values; killed at any moment, the same command goes on with it."""
