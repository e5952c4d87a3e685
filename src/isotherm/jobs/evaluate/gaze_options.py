"""What ``isotherm eval gaze`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from isotherm.errors import OptionError
from isotherm.jobs.gaze.sizes import size_of
from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class EvalGazeJob(JobOptions):
    """Judge maps by where people looked: AUC-Judd, sAUC, NSS, KL, CC and SIM, beside a map of the middle, with the best
    and the worst moments.
    """

    words: ClassVar[tuple[str, ...]] = ("eval", "gaze")
    positional: ClassVar[tuple[str, ...]] = ("predicted", "truth")

    predicted: Positional[Path]
    """Maps or points: a store (.zarr, .npz, .npy, .parquet, a folder of frame_000000.npy), maps that explain saved, or
    a folder of these, one for each clip."""
    truth: Positional[Path]
    """Where people looked: stores of the same names, or one store for one."""
    videos: Path | None = None
    """The folder of the videos, NAME.mp4 and so on, or the video of a single clip: for the pictures, and for the times
    of old maps that have none."""
    size: str | None = None
    """Of the videos, height x width in pixels such as 720x1280, where maps do not say it. Default: that of the
    truth."""
    rate: float | None = None
    """Frames per second of the videos, where maps do not say when they were."""
    key: str | None = None
    """The name of the maps in .npz files that hold several arrays."""
    scale: Literal["peak", "sum", "bytes"] | None = None
    """What the values of old maps are: a peak of 1, a sum of 1, or bytes. Default: judged by the first maps."""
    first_frame: int | None = None
    """The number of the video's first frame in old maps, 0 or 1. Default: as the files are numbered."""
    sigma_px: float | None = None
    """Of the Gaussian at every fixation that KL, CC and SIM compare with, in pixels. Default: 3/64 of the video's
    width."""
    cells: int = 64
    """Of maps that are made of predicted points, along the longer side."""
    most: int = 500
    """Moments of each clip at most, spread evenly."""
    by: Literal["AUC-Judd", "NSS", "KL", "CC", "SIM"] = "NSS"
    """The figure by which the best and the worst moments are chosen."""
    extremes: int = 6
    """How many of the best and of the worst moments to draw."""
    out: Path | None = None
    """Folder for the results. Default: a new one, runs/eval-001 and so on."""
    overwrite: bool = False
    """Let --out hold something already: files of the same name are replaced, others stay."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(0, "extremes")
        self.at_least(1, "most", "cells")
        for name in ("sigma_px", "rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise OptionError(f"{self.flag(name)} {value}: expected a number above 0")
        if self.size is not None:
            size_of(self.size, "--size")
        if self.first_frame not in (None, 0, 1):
            raise OptionError(f"--first-frame {self.first_frame}: expected 0 or 1")
