"""What ``isotherm train keypoints`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import UseAppendAction

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class TrainKeypointsJob(JobOptions):
    """Train a model that finds keypoints; killed at any moment, it goes on with --resume."""

    words: ClassVar[tuple[str, ...]] = ("train", "keypoints")

    config: Path | None = None
    """A recipe (YAML), such as recipes/beetle.yaml. Relative paths in it start at its own folder."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """Change a value of the recipe: --set training.rate=3e-4. May be given many times."""
    data: Path | None = None
    """Annotations without a recipe: COCO keypoints (.json), points (.csv, .parquet) or beetles (.json, .csv)."""
    images: Path | None = None
    """The folder that the pictures of --data are named relative to. Default: that of the file."""
    orientation: Literal["upright", "stored"] | None = None
    """In which pixels places in turned pictures of --data are: upright, as they are seen, or as stored. Default:
    upright, which is said where a picture is turned.
    """
    backbone: str | None = None
    """conv (small, trained from scratch), a name of timm's, or owner/name of a hub; the last two are frozen unless the
    recipe says otherwise.
    """
    steps: int | None = None
    """Steps of the optimiser."""
    out: Path | None = None
    """Folder of the run. Default: a new one, runs/keypoints-001 and so on. A folder with a run of the same recipe is
    gone on with.
    """
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
    track: Literal["csv", "wandb", "tensorboard"] | None = None
    """Tell wandb (offline, unless the recipe says online) or tensorboard as well. Default: as the recipe says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "steps", "devices", "nodes")
        if sum(choice is not None for choice in (self.config, self.data, self.resume)) != 1:
            raise OptionError("give one of --config RECIPE, --data ANNOTATIONS, or --resume RUN")
        if self.resume is not None:
            for name in ("out", "set", "steps", "backbone", "images", "orientation"):
                if getattr(self, name):
                    raise OptionError(f"--{name} changes the run; --resume goes on with {self.resume} as it is")
        if self.config is not None and self.images is not None:
            raise OptionError("--images goes with --data; a recipe says where its pictures are")
        if self.config is not None and self.orientation is not None:
            raise OptionError("--orientation goes with --data; a recipe says it of each of its files")
