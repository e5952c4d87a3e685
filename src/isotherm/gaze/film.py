"""A video with the gaze of a recording on it, as a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import tee
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.states import GazeState
from isotherm.data.video import VideoFrame, probe_video, read_frames
from isotherm.draw.animation import save_animation
from isotherm.draw.gaze import GazeLook, GazeTrack, draw_gaze
from isotherm.errors import ShapeError
from isotherm.points import Points, State
from isotherm.progress import Progress, Say, silent

STATES = {
    GazeState.TRACKED: State.LABELLED,
    GazeState.MISSING: State.UNLABELLED,
    GazeState.OUT_OF_FRAME: State.OUT_OF_FRAME,
}
"""The states of gaze as states of points."""


def gaze_track(gaze: GazeRecording | GazeClip) -> GazeTrack:
    """A recording, or the gaze of a clip, as it is drawn.

    Args:
        gaze: places in source pixels, on the video's clock.
    """
    if isinstance(gaze, GazeClip):
        time_s, xy, state = gaze.time_s.numpy(), gaze.xy, gaze.state
    else:
        time_s, xy, state = gaze.time_s, torch.from_numpy(gaze.xy), torch.from_numpy(gaze.state.astype(np.int64))
    table = torch.tensor([int(STATES[s]) for s in sorted(STATES)])
    return GazeTrack(time_s, Points(xy, state=table[state]))


def film_gaze(
    video: str | os.PathLike[str],
    gaze: GazeRecording,
    fpath: str | os.PathLike[str],
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    every: int = 1,
    look: GazeLook | None = None,
    side: int | None = 960,
    command: str | None = None,
    say: Say = silent,
) -> Path:
    """Write a video with the gaze on every frame, whole or not at all.

    Args:
        video: the file that the recording is of.
        gaze: on its clock.
        fpath: ends in .mp4 or .gif.
        start_s, end_s, every: which of the frames, as :func:`isotherm.data.video.read_frames` takes them.
        look: how gaze is drawn.
        side: the longer side in pixels; larger frames are made smaller.
        command: the command that makes the file again, kept in it.
        say: told how many frames are drawn.

    Returns:
        The path written: every frame at its own time, counted from the first that is drawn.

    Raises:
        ShapeError: the video has another size than the recording says.
        InputError: the video cannot be read, or the path ends otherwise.
    """
    info = probe_video(video)
    if info.size != gaze.size:
        raise ShapeError(
            f"the video is {info.size[1]} x {info.size[0]} pixels and the gaze is of one of {gaze.size[1]} x {gaze.size[0]}; is it of another video?"
        )
    frames, timed = tee(read_frames(video, every=every, start_s=start_s, end_s=end_s))
    rate = Fraction(info.rate_hz or 25).limit_denominator(1001) / every
    drawn = _drawn(frames, gaze_track(gaze), look, say)
    times_s = (frame.time_s for frame in timed)
    return save_animation(drawn, fpath, fps=rate, times_s=times_s, command=command, side=side)


def _drawn(frames: Iterator[VideoFrame], track: GazeTrack, look: GazeLook | None, say: Say) -> Iterator[Image.Image]:
    for i, frame in enumerate(frames):
        yield draw_gaze(frame.array(), track, frame.time_s, look=look)
        say(Progress(step=i + 1, stage="drawing gaze"))
