"""What ``isotherm gaze convert`` is asked for. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from isotherm.errors import OptionError
from isotherm.jobs.gaze.sizes import size_of
from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class GazeConvertJob(JobOptions):
    """Convert stores of gaze: npz and folders of frame_000000.npy to Zarr and back, and points to maps."""

    words: ClassVar[tuple[str, ...]] = ("gaze", "convert")
    positional: ClassVar[tuple[str, ...]] = ("source",)

    source: Positional[Path]
    """A store (.parquet, .zarr, .npz, .npy, a folder of frame_000000.npy), or a folder of such stores."""
    to: Literal["zarr", "npz", "npy", "points"]
    """What to make of it; points of maps only with --lossy."""
    out: Path | None = None
    """The new store, or the folder for several. Default: beside the source, with the new kind's ending."""
    video: Path | None = None
    """The video, or the folder of videos that are called as the stores are: sizes, and the times of frames."""
    rate: float | None = None
    """Without a video: its frames per second."""
    size: str | None = None
    """Without a video: the size of its pictures, height x width, such as 1080x1920."""
    key: str | None = None
    """npz: the name of the array, where there are several."""
    scale: Literal["peak", "sum", "bytes"] | None = None
    """What old values are: a peak of 1, a sum of 1, or 0 to 255. Default: judged, and refused where it could be any."""
    first_frame: int | None = None
    """The number of the video's first frame in old maps, 0 or 1. Default: as the files are numbered, else 0."""
    number: Literal["uint8", "float16", "float32"] | None = None
    """Of new values. Default: uint8 in Zarr, which costs at most .002 of the peak, float32 elsewhere."""
    compressed: bool = False
    """npz: packed, which makes reading a clip slow."""
    cells: str | None = None
    """Points to maps: the size of maps, height x width. Default: 64x64."""
    sigma_px: float | None = None
    """Points to maps: of the Gaussians, in source pixels. Default: 3/64 of the picture's width."""
    lossy: bool = False
    """Maps to points: keep no more than the place where each map is highest."""
    overwrite: bool = False
    """Replace what is there, an unfinished conversion of something else included."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("size", "cells"):
            text = getattr(self, name)
            if text is not None:
                size_of(text, self.flag(name))
        for name in ("rate", "sigma_px"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise OptionError(f"{self.flag(name)} {value}: expected a number above 0")
        if self.video is not None and (self.rate is not None or self.size is not None):
            raise OptionError("--video says the rate and the size; leave out --rate and --size")
        if self.first_frame not in (None, 0, 1):
            raise OptionError(f"--first-frame {self.first_frame}: expected 0 or 1")
        if self.to == "zarr" and self.number == "float32":
            raise OptionError("--number float32: Zarr stores of gaze hold uint8 or float16")
        if self.compressed and self.to != "npz":
            raise OptionError("--compressed goes with --to npz; Zarr is always packed, and npy never")
        if self.lossy and self.to != "points":
            raise OptionError("--lossy goes with --to points")
