"""Tables of actions with small videos and gaze, as they lie on a disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.points_store import write_points
from rigs.action_tables import HEADER
from rigs.videos import numbered_clip

RATE = 20
ROWS = ((1.2, 0, 8), (1.9, 3, 8), (2.4, 0, 20))
"""(start, verb, noun) of the actions of every video."""


def row(name, video, start, verb, noun):
    """A line of EPIC-KITCHENS' table."""
    times = ",".join(f"00:00:{t:05.2f}" for t in (start, start + 0.4))
    frames = ",".join(str(round(t * RATE)) for t in (start, start + 0.4))
    return f"{name},P01,{video},,{times},{frames},words,v,{verb},n,{noun},[],[]"


def write_actions(folder: Path, videos=("P01_01", "P01_02"), *, name="train.csv", rows=ROWS) -> Path:
    """A table whose videos need not be there."""
    lines = [row(f"{video}_{i}", video, *action) for video in videos for i, action in enumerate(rows)]
    (folder / name).write_text("\n".join([HEADER, *lines]) + "\n")
    return folder / name


def write_videos(folder: Path, videos=("P01_01", "P01_02"), *, frames=60) -> None:
    """Videos of 96 x 48 pixels whose frames bear their numbers, and gaze that lies at (2, 1) times the frame's."""
    (folder / "gaze").mkdir(exist_ok=True)
    for video in videos:
        times = np.arange(frames) / RATE
        numbered_clip(folder / f"{video}.mp4", times.tolist())
        xy = np.stack([np.arange(frames) % 48 * 2.0, np.arange(frames) % 48 * 1.0], -1)
        write_points(GazeRecording.of(times, xy, size=(48, 96)), folder / "gaze" / f"{video}.parquet", video=video)


def plain_videos(folder: Path, **data: Any) -> dict[str, Any]:
    """The data of a recipe as YAML has them: four frames of the second before an action, 16 x 16 pixels."""
    source = {"file": "train.csv", "videos": ".", "gaze": "gaze"}
    plan = {"frames": 4, "rate_hz": 4.0, "anticipation_s": [0.2, 0.2]}
    return {"train": [source], "plan": plan, "training_anticipation_s": [0.1, 0.5], "side": 16} | data
