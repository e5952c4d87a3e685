"""Moments: when each map of a clip is, in frames of the clip and, where they are known, in seconds.

Frames are counted like pixels: frame ``i`` lasts from ``i`` to ``i + 1``, its middle is ``i + 0.5``, and a clip of n
frames lasts from 0 to n. A model that is fed fewer frames than the clip has sees it as a resized picture is seen: its
frame ``k`` of T stands for the clip from ``k n / T`` to ``(k + 1) n / T``, and shows the frame in the middle of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from isotherm.errors import ShapeError

Span = tuple[float, float]
"""Start and end, the end not included."""


@dataclass(frozen=True)
class Moments:
    """When each of some maps of one clip is.

    Args:
        frames: start and end of each moment, in frames of the clip; what one ends with the next begins with.
        shown: the frame of the clip that each is shown over: of those that the model was fed, the one in its middle.
        times_s: start and end of each moment in seconds; None where the times of the frames are not known.

    Raises:
        ShapeError: as many spans, frames and times as there are moments are needed.

    Example:
        >>> moments = Timeline.of(8, fed=4, edges_s=[i / 8 for i in range(9)]).moments(first=1.0, stride=2.0, count=2)
        >>> moments.frames, moments.times_s, moments.shown
        (((0.0, 4.0), (4.0, 8.0)), ((0.0, 0.5), (0.5, 1.0)), (1, 5))
        >>> moments.names, moments.of_frame(4)
        (('0 to 0.5 s', '0.5 to 1 s'), 1)
    """

    frames: tuple[Span, ...]
    shown: tuple[int, ...]
    times_s: tuple[Span, ...] | None = None

    def __post_init__(self) -> None:
        counts = {len(self.frames), len(self.shown), len(self.frames if self.times_s is None else self.times_s)}
        if len(counts) > 1 or not self.frames:
            raise ShapeError(
                f"there are {len(self.frames)} spans of frames, {len(self.shown)} frames to show and "
                f"{'no' if self.times_s is None else len(self.times_s)} times; expected one of each per moment, at least one"
            )

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, index: int | slice) -> Moments:
        """One or some of the moments."""
        some = slice(index, index + 1 or None) if isinstance(index, int) else index
        return Moments(self.frames[some], self.shown[some], None if self.times_s is None else self.times_s[some])

    def of_frame(self, frame: int) -> int:
        """Which moment a frame of the clip belongs to: the one that its middle lies in, or else the nearest."""
        middle = frame + 0.5
        distance = [max(start - middle, middle - end, 0.0) for start, end in self.frames]
        # a middle on the border of two moments belongs to the later one
        return max(i for i, d in enumerate(distance) if d == min(distance))

    @property
    def names(self) -> tuple[str, ...]:
        """Each moment in a few words: its seconds where they are known, else its frames."""
        if self.times_s is not None:
            return tuple(f"{_short(start)} to {_short(end)} s" for start, end in self.times_s)
        return tuple(_frames(start, end) for start, end in self.frames)


def _short(seconds: float) -> str:
    return f"{seconds:.2f}".rstrip("0").rstrip(".")


def _frames(start: float, end: float) -> str:
    first, last = math.ceil(start - 0.5), math.ceil(end - 0.5) - 1
    return f"frame {first}" if first >= last else f"frames {first} to {last}"


@dataclass(frozen=True)
class Timeline:
    """The time axis of one clip, and which of its frames a model is fed.

    Args:
        count: frames of the clip.
        fed: which of them the model is fed, in order.
        edges_s: count + 1 times in seconds: when each frame begins, and when the last ends; None where they are not
            known.

    Raises:
        ShapeError: edges that do not grow or are not one more than the frames, or a frame that the clip has not.
    """

    count: int
    fed: tuple[int, ...]
    edges_s: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or not self.fed or not all(0 <= f < self.count for f in self.fed):
            raise ShapeError(
                f"the model is fed the frames {self.fed} of a clip of {self.count}; expected numbers from 0 to one less than that"
            )
        check_edges(self.edges_s, self.count)

    @classmethod
    def of(cls, count: int, *, fed: int, edges_s: Sequence[float] | None = None) -> Timeline:
        """The timeline of a clip of which ``fed`` frames are taken, evenly spread over all of it.

        Each is the frame in the middle of its part. Of a shorter clip frames are fed several times.

        Example:
            >>> Timeline.of(10, fed=4).fed, Timeline.of(2, fed=4).fed, Timeline.of(3, fed=3).fed
            ((1, 3, 6, 8), (0, 0, 1, 1), (0, 1, 2))
        """
        chosen = tuple((2 * k + 1) * count // (2 * fed) for k in range(fed))
        return cls(count, chosen, None if edges_s is None else tuple(float(t) for t in edges_s))

    def moments(self, first: float, stride: float, count: int) -> Moments:
        """The moments that ``count`` cells along time stand for.

        A cell stands for what is nearer to it than to its neighbours, and the outermost for all up to the ends of the
        clip.

        Args:
            first: the middle of the first cell.
            stride: from cell to cell. Both in frames that the model is fed, which last from 0 to their number.
        """
        total = len(self.fed)
        middles = [first + i * stride for i in range(count)]
        inner = [(a + b) / 2 for a, b in pairwise(middles)]
        borders = [min(max(b, 0.0), float(total)) * self.count / total for b in (0.0, *inner, float(total))]
        frames = tuple(pairwise(borders))
        shown = tuple(self.fed[min(max(math.ceil(m) - 1, 0), total - 1)] for m in middles)
        seconds = None if self.edges_s is None else tuple((self.second(a), self.second(b)) for a, b in frames)
        return Moments(frames, shown, seconds)

    def second(self, frame: float) -> float:
        """The time in seconds of a place on the axis of frames, such as 2.5 for the middle of frame 2."""
        assert self.edges_s is not None
        whole = min(max(math.floor(frame), 0), self.count - 1)
        start, end = self.edges_s[whole], self.edges_s[whole + 1]
        return start + (frame - whole) * (end - start)


def check_edges(edges_s: Sequence[float] | None, count: int) -> None:
    """Raises ShapeError unless there is one edge more than frames, each later than the one before."""
    if edges_s is None:
        return
    if len(edges_s) != count + 1:
        raise ShapeError(
            f"there are {len(edges_s)} edges in time for {count} frames; expected {count + 1}: when each begins, and when the last ends"
        )
    if not all(a < b for a, b in pairwise(edges_s)):
        raise ShapeError("the edges in time do not grow; every frame must begin later than the one before")
