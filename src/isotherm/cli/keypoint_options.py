"""What the commands for keypoints take. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional, UseAppendAction

from isotherm.cli.common_options import Common
from isotherm.jobs.evaluate.keypoints_options import EvalKeypointsJob
from isotherm.jobs.predict.keypoints_options import PredictKeypointsJob

Track = Literal["csv", "wandb", "tensorboard"]


@dataclass(frozen=True, kw_only=True)
class TrainKeypoints(Common):
    """Train a model that finds keypoints; killed at any moment, it goes on with --resume."""

    config: Path | None = None
    """A recipe (YAML), such as recipes/beetle.yaml. Relative paths in it start at its own folder."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """Change a value of the recipe: --set training.rate=3e-4. May be given many times."""
    data: Path | None = None
    """Annotations without a recipe: COCO keypoints (.json), points (.csv, .parquet) or beetles (.json, .csv)."""
    images: Path | None = None
    """The folder that the pictures of --data are named relative to. Default: that of the file."""
    backbone: str | None = None
    """conv (small, trained from scratch), a name of timm's, or owner/name of a hub; the last two are frozen unless the recipe says otherwise."""
    steps: int | None = None
    """Steps of the optimiser."""
    out: Path | None = None
    """Folder of the run. Default: a new one, runs/keypoints-001 and so on. A folder with a run of the same recipe is gone on with."""
    resume: Path | None = None
    """Go on with the run in this folder, by the recipe that it holds."""
    skip_bad: bool = False
    """Leave out pictures and annotations that cannot be read, and say so, instead of stopping."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    devices: int = 1
    """Devices on this machine that share the work (needs isotherm[train])."""
    nodes: int = 1
    """Machines that share the work."""
    track: Track | None = None
    """Tell wandb (offline, unless the recipe says online) or tensorboard as well. Default: as the recipe says."""


@dataclass(frozen=True, kw_only=True)
class EvalKeypoints(Common, EvalKeypointsJob):
    """Judge a trained model on labelled pictures: a table, figures, the best and the worst pictures."""


@dataclass(frozen=True, kw_only=True)
class PredictKeypoints(Common, PredictKeypointsJob):
    """Find keypoints: drawn with the ellipses that hold them with 95 %, and as JSON."""


@dataclass(frozen=True, kw_only=True)
class Sweep(Common):
    """Train a recipe many times with other values; killed at any moment, the same command goes on with it."""

    recipe: Positional[Path]
    """The sweep (YAML), such as recipes/beetle_sweep.yaml."""
    out: Path | None = None
    """Folder of the sweep. Default: runs/ and the name of the file. A sweep of the same file in it is gone on with."""
    address: str | None = None
    """A Ray cluster to run on, such as auto or ray://head:10001. Default: this machine alone."""
    at_once: int | None = None
    """Trials at the same time. Default: as the file says."""
    skip_bad: bool = False
    """Leave out pictures and annotations that cannot be read, and say so, instead of stopping."""
