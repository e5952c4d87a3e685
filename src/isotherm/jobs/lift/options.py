"""What ``isotherm lift`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class LiftJob(JobOptions):
    """Find what an instruction means in space, from several calibrated views: a point with covariance, and whether the
    views agree.
    """

    words: ClassVar[tuple[str, ...]] = ("lift",)
    positional: ClassVar[tuple[str, ...]] = ("views",)

    views: Positional[Path]
    """A JSON file: the instruction, the box in which to look, and of every view its camera and its picture or a ready
    map (.npz).
    """
    text: str | None = None
    """Another instruction than that of the file."""
    run: Path | None = None
    """The folder of a training run, or a .safetensors file of one. Default: the small model that ships; none is needed
    where all maps are ready.
    """
    fusion: Literal["product", "mean"] = "product"
    """How views are joined: the product of their probabilities, or their mean."""
    resolution: int = 64
    """Voxels along each axis of the box."""
    features: bool = False
    """Write what the head read at the point in every view, for a head of rotations or of a gripper (features.npz)."""
    out: Path | None = None
    """Folder for the results. Default: a new one, runs/lift-001 and so on."""
    overwrite: bool = False
    """Let --out hold something already: files of the same name are replaced, others stay."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(2, "resolution")
        if self.resolution > 512:
            raise OptionError(f"--resolution {self.resolution}: expected at most 512 voxels along each axis")
        if self.text is not None and not self.text.strip():
            raise OptionError("--text is empty; say what to find, or leave it out")
