"""All frames that the clips of an action may show, decoded once: clips that are drawn anew are picked from them.

Where the time before the action is drawn anew in every epoch, so are the frames. All that can be drawn lie within some
seconds, and which of them a clip shows is decided by times alone; so a clip of a window is the clip of the video to the
bit, and no epoch but the first decodes anything.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.data.anticipation.anchors import PlannedClip, Range
from isotherm.data.anticipation.cache import video_identity
from isotherm.data.anticipation.clips import VideoClip, gaze_until
from isotherm.data.gaze.store import GazeStore
from isotherm.data.video import VideoFrame
from isotherm.data.video_seek import frames_between, nearest_of
from isotherm.errors import InputError
from isotherm.frame import Frame, Size
from isotherm.untrusted.plain import reading

FORMAT = "isotherm.clip_window/1"
TOGETHER = 16
"""Frames that are made smaller at once: those of a long window of a large video need not fit into memory together."""
SPARED = 2.0
"""A folder of windows takes at most one part in so many of what is free on its disk."""
ABANDONED_S = 3600.0
"""A file that was begun and not changed for so long is nobody's."""
Shrink = Callable[[UInt8[Tensor, "n 3 h w"], Frame], UInt8[Tensor, "n 3 H W"]]


class DamagedWindowError(InputError):
    """A window on the disk has other bytes than were written."""


@dataclass(frozen=True)
class _Shown:
    """A frame of a window. index: its number in it. time_s: when it is shown."""

    index: int
    time_s: float


@dataclass(frozen=True, eq=False)
class Window:
    """The frames of some seconds of a video.

    Args:
        pictures: of the frames with some numbers, (m, 3, h, w) RGB.
        frame: of these pictures over those of the video.
        time_s: (n,) when the frames are shown.
        n_bytes: what all of them take.
    """

    pictures: Callable[[list[int]], UInt8[Tensor, "m 3 h w"]]
    frame: Frame
    time_s: Float64[np.ndarray, " n"]
    n_bytes: int

    @cached_property
    def _shown(self) -> list[_Shown]:
        return [_Shown(i, time_s) for i, time_s in enumerate(self.time_s.tolist())]

    def clip(self, planned: PlannedClip, *, gaze: GazeStore | None = None) -> VideoClip:
        """A clip of these seconds, as :func:`isotherm.data.anticipation.clips.read_clip` reads it of the video.

        Args:
            planned: its moments, all within the window.
            gaze: of the video.

        Raises:
            InputError: the clip begins before the window.
        """
        nearest = nearest_of(self._shown, sorted(set(planned.time_s.tolist())), planned.end_s)
        if nearest is None:
            raise InputError(f"the clip begins at {planned.time_s[0]:g} s, before its window ({self.time_s[0]:g} s)")
        frames = [nearest[time_s] for time_s in planned.time_s.tolist()]
        times = np.array([frame.time_s for frame in frames], np.float64)
        return VideoClip(
            self.pictures([frame.index for frame in frames]),
            self.frame,
            torch.from_numpy(times),
            planned.end_s,
            None if gaze is None else gaze_until(gaze, times, planned.end_s),
        )


def read_window(
    source: str | os.PathLike[str], span: Range, size: Size, frame: Frame, *, shrink: Shrink | None = None
) -> Window:
    """Decode all frames of a span.

    Args:
        source: the video file.
        span: (from, until) in seconds.
        size: (h, w) to which frames are shrunk while they are decoded.
        frame: of what is kept over the video's pictures.
        shrink: makes of frames of that size, and their frame, what is kept; None: they are kept.

    Raises:
        InputError: the video cannot be read.
    """
    parts, times, some = list[Tensor](), list[float](), list[VideoFrame]()

    def put() -> None:
        own = some[0].size
        arrays = np.stack([one.array(None if size == own else size) for one in some])
        video = torch.from_numpy(arrays).permute(0, 3, 1, 2).contiguous()
        parts.append(video if shrink is None else shrink(video, Frame.resize(own, size)))
        times.extend(one.time_s for one in some)
        some.clear()

    for one in frames_between(source, *span):
        some.append(one)
        if len(some) == TOGETHER:
            put()
    if some:
        put()
    video = torch.cat(parts)
    return Window(video.__getitem__, frame, np.array(times, np.float64), video.nbytes)


class WindowFolder:
    """Windows on a disk, mapped into memory: of a clip only its own frames are read, and checked.

    A file is named by a hash of everything that decides its bytes, so several runs and processes share a folder.

    Args:
        dpath: the folder.
        limit_bytes: of all files together; never more than half of what is free on the disk.

    Attributes:
        full: whether there was no room for a window.
    """

    def __init__(self, dpath: Path, limit_bytes: int) -> None:
        self.dpath, self.full = dpath, False
        dpath.mkdir(parents=True, exist_ok=True)
        for begun in dpath.glob(".*.npy.*"):
            if time.time() - begun.stat().st_mtime > ABANDONED_S:  # of a process that was killed while it wrote
                begun.unlink(missing_ok=True)
        there = sum(f.stat().st_size for f in dpath.glob("*.npy"))
        self._left = min(limit_bytes - there, int(shutil.disk_usage(dpath).free / SPARED))

    def room(self, n_bytes: int) -> bool:
        """Whether there is room for a window.

        Args:
            n_bytes: that it takes.
        """
        self.full |= n_bytes > self._left
        return n_bytes <= self._left

    def get(self, key: str, frame: Frame) -> Window | None:
        """A window; None where it is not there, or is damaged.

        Args:
            key: of :func:`window_key`.
            frame: of its pictures over those of the video.
        """
        fpath = self.dpath / f"{key}.npy"
        try:
            with reading(fpath), fpath.open("rb") as file:
                rows = _mapped(fpath, file, frame.size)
        except InputError:
            return None

        def pictures(numbers: list[int]) -> UInt8[Tensor, "m 3 h w"]:
            chosen = rows[numbers]
            for row in chosen:
                if zlib.crc32(row["picture"].tobytes()) != row["crc"]:
                    fpath.unlink(missing_ok=True)
                    raise DamagedWindowError(f"{fpath} has changed since it was written, and was removed")
            return torch.from_numpy(np.ascontiguousarray(chosen["picture"]))

        return Window(pictures, frame, np.array(rows["time_s"]), rows.nbytes)

    def keep(self, key: str, window: Window) -> bool:
        """Write a window, if there is room, and say whether it was.

        Args:
            key: of :func:`window_key`.
            window: in memory.
        """
        if not self.room(window.n_bytes):
            return False
        count = len(window.time_s)
        pictures = window.pictures(list(range(count))).numpy()
        rows: Any = np.empty(count, row_kind(pictures.shape[1:]))
        rows["time_s"], rows["picture"] = window.time_s, pictures
        rows["crc"] = [zlib.crc32(picture.tobytes()) for picture in pictures]
        try:
            with atomic_write(self.dpath / f"{key}.npy", durable=False) as file:
                np.save(file, rows)
        except (OSError, InputError):
            self._left, self.full = 0, True  # a full disk ends the keeping and not the training
            return False
        self._left -= rows.nbytes
        return True


def _mapped(fpath: Path, file: BinaryIO, size: Size) -> Any:
    """The rows of a window, mapped into memory; any error where they are those of nothing that is written here."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"the version is {version}")
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    if kind != row_kind((3, *size)) or len(shape) != 1 or not 0 < shape[0] < 1 << 31:
        raise ValueError("it holds something else")
    if file.tell() + shape[0] * kind.itemsize != os.fstat(file.fileno()).st_size:
        raise ValueError("it is cut short")
    return np.memmap(fpath, kind, "r", file.tell(), shape)


def row_kind(picture: tuple[int, ...]) -> np.dtype:
    """The kind of a row of a window's file: when a frame is shown, its check sum, and its pixels.

    Args:
        picture: (3, h, w) of the pixels.
    """
    return np.dtype([("time_s", "<f8"), ("crc", "<u4"), ("picture", "u1", picture)])


def window_key(source: str | os.PathLike[str], span: Range, size: Size, frame: Frame) -> str:
    """A hash of what a window holds.

    Args:
        source: the video file.
        span, size, frame: as of :func:`read_window`.

    Raises:
        InputError: the file cannot be read.
    """
    numbers = [*span, *size, *frame.size, *frame.to_source.flatten().tolist()]
    words = "/".join([FORMAT, video_identity(source), *(float(n).hex() for n in numbers)])
    return hashlib.sha256(words.encode()).hexdigest()[:32]
