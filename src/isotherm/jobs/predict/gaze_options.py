"""What ``isotherm gaze predict`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions, split

Model = Literal[
    "gazelle_dinov2_vitb14", "gazelle_dinov2_vitb14_inout", "gazelle_dinov2_vitl14", "gazelle_dinov2_vitl14_inout"
]


@dataclass(frozen=True, kw_only=True)
class PredictGazeJob(JobOptions):
    """Find where the people in a video look, by Gaze-LLE: maps and points for each, a table and a film; stopped at any
    moment, the same command goes on with it.
    """

    words: ClassVar[tuple[str, ...]] = ("gaze", "predict")
    positional: ClassVar[tuple[str, ...]] = ("video",)

    video: Positional[Path]
    """The video."""
    model: Model = "gazelle_dinov2_vitl14_inout"
    """gazelle_dinov2_vitb14 or _vitl14; those with _inout also say whether the gaze lies in the picture."""
    weights: str = "auto"
    """A file of the published weights; or "none" for seeded random ones. Default: downloaded once."""
    backbone: str = "auto"
    """DINOv2: a hub name or folder of transformers; or torch.hub for that of its authors, whose code is downloaded and
    run. Default: facebook/dinov2-base or -large."""
    heads: str | None = None
    """Boxes of heads (.csv with frame,x0,y0,x1,y1 or .json), or a detector of heads: yolo.pt, a hub name, a folder.
    Default: none, as if one person were in the picture."""
    orientation: Literal["upright", "stored"] | None = None
    """In which pixels boxes in a video that its container turns are: upright, as it is seen, or as stored. Default:
    upright, which is said where the video is turned."""
    head_names: str = "head,face"
    """Which classes of the detector are heads, separated by commas."""
    every: int = 1
    """Look at each n-th frame."""
    start_s: float = 0.0
    """From this second on."""
    end_s: float | None = None
    """Up to before this second."""
    max_frames: int | None = None
    """At most so many frames."""
    threshold: float = 0.5
    """From which likelihood on the gaze counts as lying in the picture."""
    memory: int = 15
    """Frames that a head may be unseen and still be the same person's."""
    least_frames: int = 2
    """People seen in fewer frames are left out."""
    batch: int = 4
    """Frames per forward pass."""
    film: bool = True
    """Write gaze.mp4."""
    out: Path
    """Folder for the results."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    seed: int = 0
    """Of random weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "every", "batch", "max_frames", "least_frames")
        self.at_least(0, "memory", "seed")
        if not 0 <= self.threshold <= 1:
            raise OptionError(f"--threshold {self.threshold}: expected a likelihood from 0 to 1")
        if not self.start_s >= 0:
            raise OptionError(f"--start-s {self.start_s}: expected seconds from 0")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise OptionError(f"--end-s {self.end_s}: expected more seconds than --start-s, {self.start_s:g}")
        if self.orientation is not None and Path(self.heads or "").suffix.lower() not in (".csv", ".json"):
            raise OptionError("--orientation is about a file of boxes; give one as --heads")
        split(self.head_names, "--head-names")
