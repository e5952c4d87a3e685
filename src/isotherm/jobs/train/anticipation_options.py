"""What ``isotherm train anticipation`` is asked for. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import UseAppendAction

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class TrainAnticipationJob(JobOptions):
    """Train a model that says what happens next in a video, with gaze or without; killed at any moment, it goes on with
    --resume.
    """

    words: ClassVar[tuple[str, ...]] = ("train", "anticipation")

    config: Path | None = None
    """A recipe (YAML), such as recipes/first_gaze.yaml, or a configuration of V-JEPA 2's action_anticipation_frozen as
    it is. Relative paths in it start at its own folder.
    """
    set: UseAppendAction[tuple[str, ...]] = ()
    """Change a value of the recipe: --set training.rate=3e-4; of an old configuration what it became. May be given many
    times.
    """
    epochs: float | None = None
    """How often every clip is seen."""
    steps: int | None = None
    """Steps of the optimiser, in place of epochs."""
    seed: int | None = None
    """Of the weights, the order, the clips' moments and the augmentation. Default: as the recipe says, else 0."""
    out: Path | None = None
    """Folder of the run. Default: a new one, runs/anticipation-001 and so on; of an old configuration the one that it
    names. A folder with a run of the same recipe is gone on with.
    """
    resume: Path | None = None
    """Go on with the run in this folder, by the recipe that it holds."""
    judge: bool = False
    """Train nothing: judge the best model of the run in --out on the recipe's validation."""
    skip_bad: bool = False
    """Leave out actions and videos that cannot be read, and say so, instead of stopping."""
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
        self.at_least(0, "seed")
        if (self.config is None) == (self.resume is None):
            raise OptionError("give one of --config RECIPE, or --resume RUN")
        if self.epochs is not None and not 0 < self.epochs < math.inf:
            raise OptionError(f"--epochs {self.epochs}: expected a number above 0")
        if self.steps is not None and self.epochs is not None:
            raise OptionError("--steps and --epochs both say how long; give one of them")
        if self.resume is not None:
            for name in ("out", "set", "steps", "epochs", "seed"):
                if getattr(self, name) not in (None, ()):
                    raise OptionError(f"--{name} changes the run; --resume goes on with {self.resume} as it is")
