"""Single frames of a video file, and how long it really is, without decoding all of it where that can be avoided."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from isotherm.data.video import HALF_MS, VideoFrame, decoded, opened, probe_video
from isotherm.errors import InputError


def frame_at(source: str | os.PathLike[str], at_s: float) -> VideoFrame:
    """The frame that a video shows at a moment: the last one that is not later; behind its end the last one.

    Args:
        source: a video file.
        at_s: seconds since the first moment of the video.

    Raises:
        InputError: missing, not a video, or damaged before that moment.
    """
    (frame,) = frames_at(source, [at_s])
    return frame


def frames_at(source: str | os.PathLike[str], times_s: Sequence[float]) -> list[VideoFrame]:
    """The frames that a video shows at several moments, as :func:`frame_at` gives each.

    Args:
        source: a video file.
        times_s: seconds since the first moment of the video, in any order.

    Raises:
        InputError: missing, not a video, or damaged before one of the moments.
    """
    with opened(source) as (container, stream):
        return [_frame(container, stream, os.fspath(source), at_s) for at_s in times_s]


def frames_near(
    source: str | os.PathLike[str], times_s: Sequence[float], *, until_s: float = math.inf
) -> list[VideoFrame]:
    """The frames nearest to several moments, of two as near the earlier, found in one go.

    The video is sought once, to the first of the moments, and decoded up to the last; so it serves the moments of a
    clip, and :func:`frames_at` those that lie far apart.

    Args:
        source: a video file.
        times_s: seconds since the first moment of the video, in any order; before its first frame and behind its last
            one these are the nearest.
        until_s: no frame that is shown later is given, however near.

    Returns:
        A frame for each moment, in the order of the moments.

    Raises:
        InputError: missing, not a video, damaged before one of the moments, or without a frame up to ``until_s``.
    """
    wanted = sorted(set(times_s))
    name = os.fspath(source)
    if until_s < 0:
        raise InputError(f"{name} holds no frame up to {until_s:g} s; its first one is at 0 s")
    if not wanted:
        return []
    with opened(source) as (container, stream):
        start = stream.start_time or 0
        for from_s in dict.fromkeys((max(0.0, wanted[0]), 0.0)):  # files without an index are sought past the moment
            container.seek(start + int(from_s / stream.time_base), stream=stream, backward=True)
            nearest = nearest_of(decoded(container, stream, name), wanted, until_s)
            if nearest is not None:
                return [nearest[time_s] for time_s in times_s]
    raise InputError(f"{name} holds no frame that can be decoded")


def frames_between(source: str | os.PathLike[str], from_s: float, until_s: float) -> Iterator[VideoFrame]:
    """All frames of a span that a moment in it may have as its nearest one: from the last that is not later than its
    beginning on, to the last that is not later than its end.

    Args:
        source: a video file.
        from_s, until_s: seconds since the first moment of the video, in order; at least 0.

    Raises:
        InputError: missing, not a video, damaged before the end of the span, or without a frame.
    """
    name = os.fspath(source)
    with opened(source) as (container, stream):
        start = stream.start_time or 0
        for sought_s in dict.fromkeys((max(0.0, from_s), 0.0)):  # files without an index are sought past the moment
            container.seek(start + int(sought_s / stream.time_base), stream=stream, backward=True)
            before = None
            for frame in decoded(container, stream, name):
                if before is None and sought_s > 0 and frame.time_s > from_s + HALF_MS:
                    break
                if frame.time_s > until_s + HALF_MS:
                    break
                if before is not None and frame.time_s > from_s:
                    yield before
                before = frame
            if before is not None:
                yield before
                return
    raise InputError(f"{name} holds no frame from {from_s:g} to {until_s:g} s that can be decoded")


@runtime_checkable
class Timed(Protocol):
    """Whatever is shown at a moment."""

    @property
    def time_s(self) -> float:
        """Seconds since the first moment of the video."""
        ...


T = TypeVar("T", bound=Timed)


def nearest_of(frames: Iterable[T], wanted: Sequence[float], until_s: float) -> dict[float, T] | None:
    """The nearest frame of each of some growing moments; None where the first frame comes too late to know.

    Args:
        frames: in the order in which they are shown; no more of them are asked for than are needed.
        wanted: the moments.
        until_s: no frame that is shown later is given, however near.
    """
    nearest, waiting = dict[float, T](), iter([*wanted, math.inf])
    before: T | None = None
    moment = next(waiting)
    for frame in frames:
        if before is None and frame.time_s > max(min(moment, until_s), 0.0) + HALF_MS:
            return None
        late = frame.time_s > until_s + HALF_MS
        while late or frame.time_s >= moment:
            closer = before is None or frame.time_s - moment < moment - before.time_s - 1e-9
            chosen = frame if closer and not late else before
            assert chosen is not None  # the first frame is not late
            nearest[moment] = chosen
            moment = next(waiting)
            if moment == math.inf:
                return nearest
        before = frame
    if before is None:
        return None
    return nearest | {time_s: before for time_s in (moment, *waiting) if time_s != math.inf}


def length_s(source: str | os.PathLike[str]) -> tuple[int, float]:
    """Number of frames and seconds of a video, counted by its packets where its header does not say.

    Browsers' recordings do not. Nothing but the first frame is decoded.

    Args:
        source: a video file.

    Raises:
        InputError: missing, not a video, or nothing in it.
    """
    info = probe_video(source)
    if info.frames and info.duration_s:
        return info.frames, info.duration_s
    with opened(source) as (container, stream):
        ends = [
            float((packet.pts + (packet.duration or 0)) * stream.time_base)
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
        start = float(stream.start_time * stream.time_base) if stream.start_time else 0.0
    if not ends:
        raise InputError(f"{source} holds no frame that can be decoded")
    return len(ends), max(info.duration_s or 0.0, max(ends) - start)


def _frame(container: Any, stream: Any, name: str, at_s: float) -> VideoFrame:
    start = stream.start_time or 0
    container.seek(start + max(0, int(at_s / stream.time_base)), stream=stream, backward=True)
    before = _last_until(decoded(container, stream, name), at_s)
    if before is None:  # files without an index are sought past the moment
        container.seek(start, stream=stream, backward=True)
        before = _last_until(decoded(container, stream, name), at_s, at_least_one=True)
    if before is None:
        raise InputError(f"{name} holds no frame that can be decoded at {at_s:g} s")
    return before


def _last_until(frames: Iterator[VideoFrame], at_s: float, *, at_least_one: bool = False) -> VideoFrame | None:
    """The last frame that is not later than a moment; None where the first one is later, unless one is wanted."""
    before = None
    for frame in frames:
        if frame.time_s > at_s + HALF_MS:
            return frame if before is None and at_least_one else before
        before = frame
    return before
