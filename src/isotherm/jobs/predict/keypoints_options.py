"""What ``isotherm predict keypoints`` is asked for. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions, box_of


@dataclass(frozen=True, kw_only=True)
class PredictKeypointsJob(JobOptions):
    """Find keypoints: drawn with the ellipses that hold them with 95 %, and as JSON."""

    words: ClassVar[tuple[str, ...]] = ("predict", "keypoints")
    positional: ClassVar[tuple[str, ...]] = ("sources",)

    sources: Positional[tuple[str, ...]]
    """Pictures, folders, "globs", lists (.txt), videos, http(s) addresses."""
    run: Path
    """The folder of a training run, or a .safetensors file of one."""
    box: str | None = None
    """Where the object is in every picture: x0,y0,x1,y1 in its pixels. Default: the whole picture."""
    level: float = 0.95
    """Probability of the ellipses."""
    px_per_cm: float | None = None
    """Pixels per centimetre, to measure lines in centimetres as well."""
    batch: int = 16
    """Pictures per forward pass."""
    recursive: bool = False
    """Look into the folders within folders."""
    out: Path | None = None
    """Folder for the results. Default: a new one, runs/predict-001 and so on."""
    overwrite: bool = False
    """Let --out hold something already: files of the same name are replaced, others stay."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.level < 1:
            raise OptionError(f"--level {self.level}: expected a probability between 0 and 1, such as 0.95")
        self.at_least(1, "batch")
        if self.box is not None:
            box_of(self.box, "--box")
        if self.px_per_cm is not None and not 0 < self.px_per_cm < math.inf:
            raise OptionError(f"--px-per-cm {self.px_per_cm}: expected a number above 0")
