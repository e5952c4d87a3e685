"""What ``isotherm gaze import`` is asked for. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from isotherm.errors import OptionError
from isotherm.jobs.gaze.sizes import size_of
from isotherm.jobs.options import JobOptions

Format = Literal["ego4d", "egtea", "pupil-core", "neon", "tobii-g3", "aria", "ego-exo4d"]


@dataclass(frozen=True, kw_only=True)
class GazeImportJob(JobOptions):
    """Read gaze of an eye tracker or a data set, bring it onto the clock of its video, and write it as points."""

    words: ClassVar[tuple[str, ...]] = ("gaze", "import")
    positional: ClassVar[tuple[str, ...]] = ("recording",)

    recording: Positional[Path]
    """The file of gaze."""
    format: Format
    """Who wrote it."""
    video: Path | None = None
    """The video: its size, and the times of its frames."""
    world_timestamps: Path | None = None
    """The recorder's time of each frame of the video: world_timestamps.npy of Pupil Core, world_timestamps.csv of Neon,
    or any table with one column such as capture_timestamp_ns.
    """
    calibration: Path | None = None
    """aria and ego-exo4d: the camera's calibration as JSON."""
    size: str | None = None
    """Without a video: the size of its pictures, height x width, such as 720x1280."""
    gaze_size: str | None = None
    """The size of the picture whose pixels the file counts, where it is not that of the video."""
    orientation: Literal["upright", "stored"] | None = None
    """In which pixels places in a video that its container turns are: upright, as it is seen, or as stored. Default:
    upright, which is said where the video is turned."""
    out: Path = Path("gaze.parquet")
    """The file of points; the report lies beside it as .alignment.json and .alignment.png."""
    least_confidence: float = 0.6
    """Samples below this confidence are missing."""
    first_frame: int | None = None
    """The number of the video's first frame, 0 or 1, in formats that number frames. Default: 0."""
    offset_s: float = 0.0
    """Seconds that are added to the times of gaze."""
    start_together: bool = False
    """The first sample belongs to the first frame, where nothing else ties the clocks."""
    tolerance_ms: float = 20.0
    """Refuse where more than one in twenty pairs of times lies farther from their line."""
    most_drift_ppm: float = 200.0
    """Refuse where the clocks run farther apart, in millionths; 60 against 59.94 frames per second are 1000."""
    least_coverage: float = 50.0
    """Refuse where fewer of the video's frames have a sample, in per cent."""
    most_frames: int = 2
    """Refuse where the numbers of frames differ by more."""
    most_overhang_s: float = 1.0
    """Refuse where gaze begins earlier before the video's start, or goes on longer behind its end."""
    overwrite: bool = False
    """Replace --out if it is there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("size", "gaze_size"):
            text = getattr(self, name)
            if text is not None:
                size_of(text, self.flag(name))
        if self.video is not None and self.size is not None:
            raise OptionError("--video says the size of its pictures; leave out --size")
        if self.orientation is not None and self.video is None:
            raise OptionError("--orientation is about a video that its container turns; give --video")
        if not 0 <= self.least_confidence <= 1:
            raise OptionError(f"--least-confidence {self.least_confidence}: expected a number from 0 to 1")
        if self.first_frame not in (None, 0, 1):
            raise OptionError(f"--first-frame {self.first_frame}: expected 0 or 1")
        if not math.isfinite(self.offset_s):
            raise OptionError(f"--offset-s {self.offset_s}: expected a finite number of seconds")
        for name in ("tolerance_ms", "most_drift_ppm", "most_overhang_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(f"{self.flag(name)} {getattr(self, name)}: expected a number of at least 0")
        if not 0 <= self.least_coverage <= 100:
            raise OptionError(f"--least-coverage {self.least_coverage}: expected per cent, from 0 to 100")
        self.at_least(0, "most_frames")
        if self.out.suffix != ".parquet":
            raise OptionError(f"--out {self.out}: expected a name that ends in .parquet")
        if self.start_together and self.world_timestamps is not None:
            raise OptionError("--world-timestamps tie the clocks; leave out --start-together")
