"""Which model a job works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions

AUTO = "auto"
"""The model's name where none is given."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions(JobOptions):
    model: str
    """imagenet, resnet50, timm:NAME, yolo11n.pt, yoloe-11s-seg.pt, owner/name of a hub, a folder, or scenes (ships with isotherm)."""
    weights: str | None = None
    """A weights file; or "none" for seeded random weights. Default: the package's pretrained weights."""
    classes: str | None = None
    """Open-vocabulary detectors: what to look for, separated by commas."""
    confidence: float | None = None
    """Detectors: least confidence of a finding, 0 to 1."""
    size: str | None = None
    """Model input size: 640, or 480x640 (height x width)."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Of a hub model's weights and sums. Default: float32."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    seed: int = 0
    """Of random weights, masks and orders."""
    allow_code: Path | None = None
    """A file that runs code while it is opened (a weights file that needs full unpickling, or a configuration that hands
    arguments on) and that you allow to: it can do anything, so name only one whose maker you know. Its SHA-256 is printed
    and remembered."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise OptionError(f"--confidence {self.confidence}: expected a number from 0 to 1")
        if not 0 <= self.seed < 2**63:
            raise OptionError(f"--seed {self.seed}: expected a whole number from 0 to 2^63 - 1")
