"""A video's own clock: when each of its frames is shown, by the times in the file and never by a rate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from isotherm.data.orientation import Turn
from isotherm.data.video import opened, probe_video
from isotherm.data.video_end import check_end
from isotherm.errors import InputError
from isotherm.frame import Size

RATES = tuple(Fraction(n, d) for n, d in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001), (60, 1), (90, 1), (120000, 1001), (120, 1)))  # fmt: skip
"""Rates that cameras have."""


@dataclass(frozen=True, eq=False)
class VideoClock:
    """When the frames of a video are shown.

    Args:
        time_s: (n,) of each frame, growing; the first is 0.
        size: (h, w) of the upright picture in pixels.
        name: of the video, for reports; empty where there is none and the clock was made of something else.
        repeated: frames with the time of the one before, which were left out.
        own: from the video's pixels as they are coded to its upright ones; None: they are the same, or nobody knows.
    """

    time_s: Float64[np.ndarray, " n"]
    size: Size
    name: str = ""
    repeated: int = 0
    own: Turn | None = None

    @property
    def interval_s(self) -> float:
        """The usual distance between frames."""
        return float(np.median(np.diff(self.time_s))) if len(self.time_s) > 1 else 0.04

    @property
    def end_s(self) -> float:
        """When the last frame ends."""
        return float(self.time_s[-1]) + self.interval_s if len(self.time_s) else 0.0

    @property
    def mean_rate_hz(self) -> float:
        """Frames per second over the whole video."""
        return (len(self.time_s) - 1) / float(self.time_s[-1]) if len(self.time_s) > 1 else 1 / self.interval_s

    @property
    def gaps(self) -> int:
        """Frames that are missing between others: every distance is counted in usual distances."""
        return int((np.rint(np.diff(self.time_s) / self.interval_s) - 1).clip(0).sum()) if len(self.time_s) > 1 else 0

    @property
    def variable(self) -> bool:
        """Whether more than one distance in a hundred differs by over a tenth from the usual one."""
        steps = np.diff(self.time_s)
        return bool(len(steps)) and float((np.abs(steps / self.interval_s - 1) > 0.1).mean()) > 0.01


def read_clock(video: str | os.PathLike[str]) -> VideoClock:
    """The times of a video's frames, from its packets; only the first frame is decoded.

    Args:
        video: a file.

    Raises:
        InputError: missing, not a video, without times, or damaged so that its frames end before its header says.
        MissingExtraError: PyAV is not installed.
    """
    info = probe_video(video)
    with opened(video) as (container, stream):
        ticks = [packet.pts for packet in container.demux(stream) if packet.pts is not None and not packet.is_discard]
        base, start = float(stream.time_base), stream.start_time
        if ticks:
            last_s = (max(ticks) - (min(ticks) if start is None else start)) * base
            check_end(os.fspath(video), container, stream, last_s, len(ticks))
    if not ticks:
        raise InputError(f"{video} says of none of its frames when it is shown; write it anew as MP4")
    times = np.sort(np.array(ticks, np.int64))
    unique = np.unique(times)
    first = int(unique[0]) if start is None else min(int(start), int(unique[0]))
    return VideoClock((unique - first) * base, info.size, Path(video).name, len(times) - len(unique), info.own)


def steady_clock(rate_hz: float, frames: int, size: Size) -> VideoClock:
    """A clock of frames at a steady rate, for where there is no video.

    Args:
        rate_hz: frames per second.
        frames: how many.
        size: (h, w) of the pictures.
    """
    return VideoClock(np.arange(frames) / rate_hz, size)


def camera_rate(rate_hz: float) -> Fraction | None:
    """The rate of a camera that is nearest to a measured one, None where none lies within three ten-thousandths.

    Args:
        rate_hz: measured frames per second.

    Example:
        >>> camera_rate(59.9401), camera_rate(60.0), camera_rate(37.0)
        (Fraction(60000, 1001), Fraction(60, 1), None)
    """
    nearest = min(RATES, key=lambda rate: abs(float(rate) - rate_hz))
    return nearest if abs(float(nearest) / rate_hz - 1) < 3e-4 else None
