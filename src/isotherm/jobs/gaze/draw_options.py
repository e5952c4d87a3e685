"""What ``isotherm gaze draw`` is asked for. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class GazeDrawJob(JobOptions):
    """Draw a recording of gaze on its video: where the person looks, how the gaze came there, and the heat of it."""

    words: ClassVar[tuple[str, ...]] = ("gaze", "draw")
    positional: ClassVar[tuple[str, ...]] = ("recording",)

    recording: Positional[Path]
    """A file of points (.parquet), as gaze import and gaze predict write it."""
    video: Path
    """The video that it is of."""
    out: Path = Path("gaze.mp4")
    """The film, .mp4 or .gif."""
    trail_s: float = 1.0
    """Seconds of the way that the gaze came; 0 for none."""
    heat_s: float = 2.0
    """Seconds whose heat lies over the picture; 0 for none."""
    start_s: float = 0.0
    """From this second on."""
    end_s: float | None = None
    """Up to before this second."""
    every: int = 1
    """Draw each n-th frame."""
    side: int = 960
    """The longer side in pixels; larger frames are made smaller."""
    overwrite: bool = False
    """Replace --out if it is there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "every")
        self.at_least(16, "side")
        for name in ("trail_s", "heat_s", "start_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(f"{self.flag(name)} {getattr(self, name)}: expected seconds, at least 0")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise OptionError(f"--end-s {self.end_s}: expected more seconds than --start-s, {self.start_s:g}")
        if self.out.suffix.lower() not in (".mp4", ".gif"):
            raise OptionError(f"--out {self.out}: expected a name that ends in .mp4 or .gif")
