"""Clips from whatever a caller holds: a video file, frames as they were decoded, pictures, an array."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from isotherm import limits
from isotherm.cam.clips import Clip
from isotherm.data.pictures import as_picture
from isotherm.data.video import VIDEO_SUFFIXES, VideoFrame, probe_video, read_frames
from isotherm.errors import InputError, OptionError

MAX_BYTES = limits.CLIP_BYTES
"""Most memory that the frames of one clip may take as pixels: 42 seconds of 640 x 480 at 60 frames a second."""


def as_clip(clip: Any, *, fps: float | None = None) -> Clip:
    """A Clip from whatever a caller holds, or an error wherever the meaning would be a guess.

    Args:
        clip: a Clip; the path of a video file; frames of a video in order, such as ``read_frames`` gives, whose times
            are kept; a list of pictures of one size, each as :func:`isotherm.data.pictures.as_picture` takes it; an
            array (t, H, W, 3) or a tensor (t, 3, H, W), each frame as there.
        fps: frames a second, where the clip does not know its times; unknown times are counted in frames.

    Raises:
        InputError: a single picture, frames of several sizes, no frames, more than memory should hold.
        OptionError: fps that is not above 0, or for a clip that knows its times.

    Example:
        >>> as_clip(np.zeros((3, 24, 32, 3), np.uint8), fps=10).edges_s
        (0.0, 0.1, 0.2, 0.3)
    """
    if fps is not None and not fps > 0:
        raise OptionError(f"fps is {fps}; expected frames a second, above 0")
    made = _clip(clip)
    if fps is None:
        return made
    if made.edges_s is not None:
        raise OptionError("this clip knows the times of its frames; leave fps out")
    return Clip(made.frames, tuple(i / fps for i in range(len(made) + 1)))


def _clip(clip: Any) -> Clip:
    if isinstance(clip, Clip):
        return clip
    if isinstance(clip, str | os.PathLike):
        if Path(clip).suffix.lower() not in VIDEO_SUFFIXES:
            raise InputError(
                f"{os.fspath(clip)} is no video, and this model sees several moments; give a video file, a list of pictures in "
                "order, or an array (t, H, W, 3); a single picture goes as [picture]"
            )
        return read_clip(clip)
    if isinstance(clip, list | tuple):
        frames: Sequence[Any] = clip
    elif hasattr(clip, "ndim") and hasattr(clip, "shape"):
        if clip.ndim != 4:
            raise InputError(
                f"a clip of shape {tuple(clip.shape)} was given to a model that sees several moments; expected (t, H, W, 3), or a "
                "tensor (t, 3, H, W); a single picture goes as [picture]"
            )
        frames = list(clip)
    elif isinstance(clip, Iterable) and not isinstance(clip, bytes):
        frames = list(clip)
    else:
        raise InputError(
            f"a clip was given as {type(clip).__name__}; expected a video file, frames or pictures in order, or an array (t, H, W, 3)"
        )
    if not frames:
        raise InputError("a clip without frames was given; expected at least one picture")
    return clip_of((f.array(), f.time_s) if isinstance(f, VideoFrame) else (f, None) for f in frames)


def read_clip(source: str | os.PathLike[str], *, every: int = 1, max_frames: int | None = None) -> Clip:
    """All frames of a video file, or each n-th, with their times.

    Args:
        source, every, max_frames: as of :func:`isotherm.data.video.read_frames`.

    Raises:
        InputError: the file cannot be read, or its frames take more memory than a clip should.
    """
    frames = read_frames(source, every=every, max_frames=max_frames)
    return clip_of(((frame.array(), frame.time_s) for frame in frames), os.fspath(source), video=source)


def clip_of(
    frames: Iterable[tuple[Any, float | None]], name: str = "the clip", *, video: str | os.PathLike[str] | None = None
) -> Clip:
    """The clip of pictures and their times in seconds, as they come.

    Args:
        frames: each as :func:`isotherm.data.pictures.as_picture` takes it; times that are not all known count for
            nothing.
        name: of the clip, for messages.
        video: the file that they are of, which says how long a single frame lasts.

    Raises:
        InputError: frames of several sizes, none at all, or more than memory should hold.
    """
    arrays, times, taken = [], [], 0
    for frame, time_s in frames:
        arrays.append(as_picture(frame).array)
        times += [] if time_s is None else [time_s]
        taken += arrays[-1].nbytes
        if taken > MAX_BYTES:
            h, w = arrays[0].shape[:2]
            raise InputError(
                f"{name} has more than {len(arrays)} frames of {w} x {h} pixels, which is over {MAX_BYTES >> 30} GiB; take every second "
                "one of them (every=2, --every 2), or a shorter part (max_frames, --max-frames)"
            )
    if not arrays:
        raise InputError(f"{name} holds no frame; expected at least one picture")
    sizes = sorted({array.shape[:2] for array in arrays})
    if len(sizes) > 1:
        raise InputError(f"the frames of a clip have different sizes {sizes}; expected one size (h, w) for all of them")
    if len(times) != len(arrays):
        return Clip(np.stack(arrays), None)
    lasts_s = _frame_lasts_s(video) if len(times) == 1 and video is not None else None
    return Clip(np.stack(arrays), edges_of(times, lasts_s=lasts_s))


def _frame_lasts_s(video: str | os.PathLike[str]) -> float | None:
    """How long a frame of a video file lasts by its header, None where it does not say."""
    try:
        info = probe_video(video)
    except InputError:
        return None
    return 1 / info.rate_hz if info.rate_hz else info.duration_s


def edges_of(times_s: Sequence[float], *, lasts_s: float | None = None) -> tuple[float, ...] | None:
    """When each frame begins, and when the last one ends if it lasts as long as those before it on average; None where
    that is not known.

    Args:
        times_s: of the frames.
        lasts_s: how long a single frame lasts, where that is known.

    Example:
        >>> edges_of([0.0, 0.5, 1.5])
        (0.0, 0.5, 1.5, 2.25)
    """
    if len(times_s) < 2:
        return (times_s[0], times_s[0] + lasts_s) if times_s and lasts_s else None
    if not all(a < b for a, b in pairwise(times_s)):
        return None  # a broken recording; frames are then counted
    return (*times_s, times_s[-1] + (times_s[-1] - times_s[0]) / (len(times_s) - 1))
