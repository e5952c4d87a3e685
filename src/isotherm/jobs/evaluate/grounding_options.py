"""What ``isotherm eval grounding`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class EvalGroundingJob(JobOptions):
    """Judge a trained model on instructions whose places are known: figures, a row each, the best and the worst
    pictures.
    """

    words: ClassVar[tuple[str, ...]] = ("eval", "grounding")

    run: Path
    """The folder of a training run, or a .safetensors file of one."""
    data: Path | None = None
    """Instructions to judge by, .jsonl or the refs of referring expressions. Default: what the run validates on."""
    images: Path | None = None
    """The folder that the pictures of --data are named relative to. Default: that of the file."""
    instances: Path | None = None
    """COCO's instances that the refs of --data are about."""
    split: str = ""
    """Of referring expressions: only those of this split, such as testA."""
    orientation: Literal["upright", "stored"] | None = None
    """In which pixels places in turned pictures of --data are: upright, as they are seen, or as stored. Default:
    upright, which is said where a picture is turned.
    """
    out: Path | None = None
    """Folder for the results. Default: a new one, runs/eval-001 and so on."""
    overwrite: bool = False
    """Let --out hold something already: files of the same name are replaced, others stay."""
    extremes: int = 6
    """How many of the best and of the worst pictures to draw."""
    batch: int = 8
    """Instructions per forward pass."""
    skip_bad: bool = False
    """Leave out lines and pictures that cannot be read, and say so, instead of stopping."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(0, "extremes")
        self.at_least(1, "batch")
        if self.data is None:
            for name in ("images", "instances", "split", "orientation"):
                if getattr(self, name):
                    raise OptionError(f"--{name} goes with --data")
