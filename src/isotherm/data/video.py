"""Frames of a video file, a stream or a camera, decoded one by one through PyAV."""

from __future__ import annotations

import math
import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from isotherm.data.orientation import Turn, quarter_turns
from isotherm.data.pictures import MAX_PIXELS, check_regular_file
from isotherm.data.video_end import check_end, missing_bytes, of_s
from isotherm.errors import InputError, MissingExtraError, OptionError
from isotherm.size import Size

VIDEO_SUFFIXES = frozenset([".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"]) | frozenset(
    [".ts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv", ".mjpeg", ".mjpg"]
)
STREAM_PREFIXES = ("rtsp://", "rtsps://", "rtmp://", "udp://", "http://", "https://")
HALF_MS = 0.0005
"""Times of frames are whole numbers of the container's own unit, so that what a person calls 1.2 s is not exactly."""
_DEVICE = re.compile(r"/dev/video\d+")


_OF_THREAD = threading.local()


def _reformatter() -> Any:
    """One for all frames of a thread.

    What a frame makes for itself starts and ends threads of its own, which takes a small frame ten times as long as
    its pixels do, and another thread's work is in their way.
    """
    if not hasattr(_OF_THREAD, "reformatter"):
        from av.video.reformatter import VideoReformatter

        _OF_THREAD.reformatter = VideoReformatter()
    return _OF_THREAD.reformatter


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header says.

    Args:
        size: (h, w) of the upright picture in pixels.
        frames: number of frames, None where the header does not say (streams, cameras, some formats).
        duration_s: length in seconds, None where unknown.
        rate_hz: mean frames per second, None where unknown.
        own: from the pixels as they are coded to those of the upright picture, by what the container says; None where
            nobody looked.
    """

    size: Size
    frames: int | None
    duration_s: float | None
    rate_hz: float | None
    own: Turn | None = None


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame, turned into pixels only when asked.

    Args:
        index: number of the frame in the video, from 0, counting those that were skipped.
        time_s: seconds since the first moment of the video, or of the stream as it was opened.
    """

    index: int
    time_s: float
    _frame: Any = field(repr=False)

    def array(self, size: Size | None = None) -> UInt8[np.ndarray, "H W 3"]:
        """Upright (H, W, 3) uint8 RGB.

        Args:
            size: (h, w) to be shrunk to, by means over areas; None: as it is.
        """
        frame, rotation = self._frame, self._frame.rotation
        scaling: dict[str, Any] = {}
        if size is not None:
            h, w = size[::-1] if _turns(rotation) % 2 else size
            scaling = {"width": w, "height": h, "interpolation": "AREA"}
        shown = _reformatter().reformat(frame, format="rgb24", threads=1, **scaling)
        return _upright(shown.to_ndarray(), rotation)

    @property
    def own(self) -> Turn:
        """From its pixels as they are coded to its upright ones."""
        return quarter_turns((self._frame.height, self._frame.width), self._frame.rotation)

    @property
    def size(self) -> Size:
        """(h, w) of the upright picture."""
        h, w = self._frame.height, self._frame.width
        return (w, h) if _turns(self._frame.rotation) % 2 else (h, w)


@dataclass(frozen=True, kw_only=True)
class FrameChoice:
    """Which frames of a video are meant.

    Args:
        every: 1 for all frames, n for each n-th.
        max_frames: stop after so many; None for all, which never ends on a camera.
        start_s, end_s: from this second on, up to before that one; None for the end.
        max_pixels: a frame may have; a video of larger ones is refused, since it can fill the memory.

    Raises:
        OptionError: a number out of range.
    """

    every: int = 1
    max_frames: int | None = None
    start_s: float = 0.0
    end_s: float | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        counts = {"every": self.every, "max_frames": self.max_frames, "max_pixels": self.max_pixels}
        for option, value in counts.items():
            if value is not None and value < 1:
                raise OptionError(f"{option} is {value}; expected a whole number of at least 1")
        if not 0 <= self.start_s < math.inf:
            raise OptionError(f"start_s is {self.start_s}; expected seconds from the video's start, at least 0")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise OptionError(f"end_s is {self.end_s}; expected more seconds than start_s, {self.start_s:g}")

    def expected(self, frames: int | None, rate_hz: float | None) -> int | None:
        """How many frames there will be of a video of so many, None where that cannot be known.

        Example:
            >>> FrameChoice(every=4).expected(10, 5.0), FrameChoice(start_s=1, end_s=1.5).expected(10, 5.0)
            (3, 3)
        """
        if frames is None:
            return None
        if self.start_s or self.end_s is not None:
            if not rate_hz:
                return None
            last = math.inf if self.end_s is None else math.ceil(self.end_s * rate_hz - 1e-6)
            frames = max(0, min(frames, int(min(last, frames))) - math.ceil(self.start_s * rate_hz - 1e-6))
        chosen = math.ceil(frames / self.every)
        return chosen if self.max_frames is None else min(chosen, self.max_frames)


def probe_video(source: str | os.PathLike[str]) -> VideoInfo:
    """Read the header of a video, and its first frame for the rotation.

    Raises:
        InputError: missing, not a video, no picture track, or nothing in it.
    """
    with opened(source) as (container, stream):
        first = next(decoded(container, stream, os.fspath(source)), None)
        if first is None:
            raise InputError(f"{source} holds no frame that can be decoded")
        rate = float(stream.average_rate) if stream.average_rate else None
        length = stream.duration * stream.time_base if stream.duration else None
        if length is None and container.duration:
            length = container.duration / 1_000_000
        seconds = float(length) if length is not None else None
        return VideoInfo(first.size, stream.frames or None, seconds, rate, first.own)


def count_frames(source: str | os.PathLike[str], choice: FrameChoice | None = None) -> int | None:
    """Number of frames that the header of a video promises, None where it does not say; nothing is decoded.

    Args:
        choice: which of them count; None: all.

    Raises:
        InputError: missing, not a video, or without a picture track.
    """
    choice = choice or FrameChoice()
    with opened(source, max_pixels=choice.max_pixels) as (_, stream):
        rate = float(stream.average_rate) if stream.average_rate else None
        return choice.expected(stream.frames or None, rate)


def read_frames(
    source: str | os.PathLike[str],
    *,
    every: int = 1,
    max_frames: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[VideoFrame]:
    """Frames in the order in which they are shown.

    Args:
        source: a video file, a stream's address (rtsp, rtmp, http) or a camera from :func:`camera`.
        every, max_frames, start_s, end_s: which ones, as :class:`FrameChoice`; n-ths are counted from the first one
            that is at ``start_s`` or behind it.
        max_pixels: a frame may have.

    Raises:
        InputError: as :func:`probe_video`, there is none in that time, or the file breaks off: the frames before that
            were given.
        OptionError: a number out of range.
        MissingExtraError: PyAV is not installed.

    Example:
        >>> for frame in read_frames("clip.mp4", every=10):   # doctest: +SKIP
        ...     print(frame.index, frame.time_s, frame.array().shape)
    """
    choice = FrameChoice(every=every, max_frames=max_frames, start_s=start_s, end_s=end_s, max_pixels=max_pixels)
    return _chosen(source, choice)


def camera(index: int) -> str:
    """The source name of a camera by its number.

    Raises:
        InputError: this machine has no such camera, or it may not be opened.
    """
    if sys.platform != "linux":
        return f"camera:{index}"
    device = f"/dev/video{index}"
    if Path(device).exists():
        if not os.access(device, os.R_OK):
            raise InputError(
                f"camera {index} ({device}) may not be opened by this user; add the user to the group video"
            )
        return device
    present = sorted(entry.name for entry in Path("/dev").iterdir() if re.fullmatch(r"video\d+", entry.name))
    cameras = f"there are {', '.join(present)}" if present else "this machine has no camera (no /dev/video*)"
    raise InputError(f"there is no camera {index}: {cameras}; plug one in or give a picture, folder or video")


def _chosen(source: str | os.PathLike[str], choice: FrameChoice) -> Iterator[VideoFrame]:
    with opened(source, max_pixels=choice.max_pixels) as (container, stream):
        within = count = 0
        last = None
        for last in decoded(container, stream, os.fspath(source), max_pixels=choice.max_pixels):
            if last.time_s < choice.start_s - HALF_MS:
                continue
            if choice.end_s is not None and last.time_s >= choice.end_s - HALF_MS:
                break
            within += 1
            if (within - 1) % choice.every:
                continue
            yield last
            count += 1
            if count == choice.max_frames:
                return
        if last is None:
            raise InputError(f"{source} holds no frame that can be decoded")
        if not count:
            span = "on" if choice.end_s is None else f"to {choice.end_s:g} s"
            raise InputError(
                f"{source} has no frame from {choice.start_s:g} s {span}; the last one that was read is at {last.time_s:.2f} s"
            )


class opened:
    """A container and its first picture track, as a context: closed at the end whatever happens.

    Args:
        source, max_pixels: as of :func:`read_frames`.
    """

    def __init__(self, source: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> None:
        self.source, self.max_pixels = os.fspath(source), max_pixels

    def __enter__(self) -> tuple[Any, Any]:
        av = _av()
        where, options = _how_to_open(self.source)
        try:
            self.container = av.open(where, timeout=(15.0, 15.0), **options)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"{self.source} cannot be opened as a video ({_words(error)}); check it in a player"
            ) from error
        try:
            if not self.container.streams.video:
                raise InputError(f"{self.source} has no picture track; expected a video")
            stream = self.container.streams.video[0]
            context = stream.codec_context
            if context is None:
                raise InputError(f"{self.source} has a picture track of a form that is not known; check it in a player")
            if context.width * context.height > self.max_pixels:
                raise _too_large(f"{self.source} is", context.width, context.height, "", self.max_pixels)
            stream.thread_type = "AUTO"
            return self.container, stream
        except BaseException:
            self.container.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.container.close()


def _how_to_open(source: str) -> tuple[str, dict[str, Any]]:
    if source.startswith(STREAM_PREFIXES):
        # a playlist from the network may name local files: those are not followed
        listed = "http,https,tcp,tls,udp,rtp,rtsp,rtmp,rtmps,crypto,hls"
        return source, {"options": {"protocol_whitelist": listed}}
    if source.startswith("camera:"):
        if sys.platform == "darwin":
            return source.removeprefix("camera:"), {"format": "avfoundation", "options": {"framerate": "30"}}
        raise InputError(
            "cameras are opened by number on Linux and macOS; on this system give a stream's address instead"
        )
    if _DEVICE.fullmatch(source):
        av = _av()
        if "v4l2" not in av.formats_available:
            raise InputError(
                "this build of PyAV cannot open cameras (no v4l2); install PyAV against a system FFmpeg that can"
            )
        return source, {"format": "v4l2"}
    check_regular_file(Path(source), "video")
    # a playlist in a file may name addresses: those are not followed
    return f"file:{source}", {"options": {"protocol_whitelist": "file"}}


def _too_large(what: str, w: int, h: int, where: str, most: int) -> InputError:
    """The error for frames of more pixels than may be read."""
    words = f"{what} {w} x {h} pixels{where}; at most {most / 1e6:g} megapixels are read: make it smaller first, or"
    return InputError(f"{words} give max_pixels={w * h}", command_line=f"{words} raise --max-pixels to {w * h}")


def decoded(container: Any, stream: Any, name: str, *, max_pixels: int = MAX_PIXELS) -> Iterator[VideoFrame]:
    """The frames of an opened video from where it stands, in the order in which they are shown.

    Args:
        container, stream: as :class:`opened` gives them.
        name: of the file or address, for messages.
        max_pixels: a frame may have.

    Raises:
        InputError: it breaks off, or its frames become too large.
    """
    av = _av()
    start = float(stream.start_time * stream.time_base) if stream.start_time else 0.0
    rate = float(stream.average_rate) if stream.average_rate else 0.0
    index, end_s = 0, 0.0
    try:
        for frame in container.decode(stream):
            if frame.width * frame.height > max_pixels:
                raise _too_large(f"{name} changes to", frame.width, frame.height, f" at frame {index}", max_pixels)
            seconds = frame.time - start if frame.time is not None else index / rate if rate else math.nan
            yield VideoFrame(index, seconds, frame)
            index += 1
            lasts = float(frame.duration * stream.time_base) if frame.duration else 1 / rate if rate else 0.0
            end_s = seconds + lasts
    except (av.error.FFmpegError, OSError, ValueError) as error:
        where = f" at {end_s:.2f} s{of_s(container, stream)}" if index else ""
        raise InputError(
            f"{name} breaks off after {index} frames{where} ({_words(error)}); it is damaged or cut short"
        ) from error
    if (missing := missing_bytes(name)) > 0:
        raise InputError(
            f"{name} breaks off after {index} frames: {missing} bytes are missing at its end; copy it again"
        )
    if index:
        check_end(name, container, stream, end_s, index)


def _turns(rotation: float) -> int:
    # degrees counter-clockwise, from the display matrix; recorders write multiples of 90 only
    return round(rotation / 90) % 4


def _upright(array: np.ndarray, rotation: float) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(array, _turns(rotation)))


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("av", "video", "reading video") from error
    return av
