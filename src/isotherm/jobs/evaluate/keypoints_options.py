"""What ``isotherm eval keypoints`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions

Track = Literal["csv", "wandb", "tensorboard"]


@dataclass(frozen=True, kw_only=True)
class EvalKeypointsJob(JobOptions):
    """Judge a trained model on labelled pictures: a table, figures, the best and the worst pictures."""

    words: ClassVar[tuple[str, ...]] = ("eval", "keypoints")

    run: Path
    """The folder of a training run, or a .safetensors file of one."""
    data: Path | None = None
    """Annotations to judge by. Default: what the run validates on."""
    images: Path | None = None
    """The folder that the pictures of --data are named relative to. Default: that of the file."""
    orientation: Literal["upright", "stored"] | None = None
    """In which pixels places in turned pictures of --data are: upright, as they are seen, or as stored. Default:
    upright, which is said where a picture is turned.
    """
    out: Path | None = None
    """Folder for the results. Default: a new one, runs/eval-001 and so on."""
    overwrite: bool = False
    """Let --out hold something already: files of the same name are replaced, others stay."""
    extremes: int = 8
    """How many of the best and of the worst pictures to draw."""
    skip_bad: bool = False
    """Leave out pictures and annotations that cannot be read, and say so, instead of stopping."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    track: Track = "csv"
    """Tell wandb (offline) or tensorboard of the figures as well."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(0, "extremes")
        if self.data is None:
            for name in ("images", "orientation"):
                if getattr(self, name) is not None:
                    raise OptionError(f"--{name} goes with --data; a recipe says it of its own files")
