"""What every command takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tyro.conf import UseAppendAction

AUTO = "auto"
"""The model's name where none is given."""


@dataclass(frozen=True, kw_only=True)
class Common:
    debug: bool = False
    """Show the traceback of an error."""
    quiet: bool = False
    """Print only the summary and errors."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Common):
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
    trust: UseAppendAction[tuple[str, ...]] = ()
    """How thoroughly to judge the maps: fast, full or off. Or a weights FILE that needs full unpickling: it can run
    any code, so name only files that you trust; its SHA-256 is printed and remembered. May be given twice."""
