"""What every store of gaze gives: the clip of it at the times of a video's frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8

from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.states import GazeState
from isotherm.errors import InputError, OptionError
from isotherm.frame import Frame, Size

Times = Sequence[float] | Float64[np.ndarray, " t"] | torch.Tensor
Scale = Literal["peak", "sum", "bytes"]
"""What the values of a stored map are: a peak of 1, a sum of 1, or whole numbers from 0 to 255, a peak of 255."""


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """What files of maps do not say themselves.

    Args:
        size: (h, w) of the video in pixels; None: one pixel for each cell, which the notes say.
        times_s: (n,) times of the video's frames, as :func:`isotherm.data.gaze.clock.read_clock` gives them.
        rate_hz: frames per second, where there are no such times.
        key: the name of the array in an npz file that has several.
        scale: what the values are; None: judged by the first maps, and refused where they could be anything.
        first: the number of the video's first frame, 0 or 1; None: as the files are numbered, 0 where they are not.

    Raises:
        OptionError: a rate or size that is none, or both rate and times.
    """

    size: Size | None = None
    times_s: Float64[np.ndarray, " n"] | None = None
    rate_hz: float | None = None
    key: str | None = None
    scale: Scale | None = None
    first: int | None = None

    def __post_init__(self) -> None:
        if self.rate_hz is not None and not 0 < self.rate_hz < np.inf:
            raise OptionError(f"rate_hz is {self.rate_hz}; expected frames per second above 0")
        if self.rate_hz is not None and self.times_s is not None:
            raise OptionError("give either times_s or rate_hz; the times of frames say their rate")
        if self.size is not None and min(self.size) < 1:
            raise OptionError(f"size is {self.size}; expected (h, w) of the video")
        if self.first not in (None, 0, 1):
            raise OptionError(f"first is {self.first}; expected 0 or 1, the number of the video's first frame")

    def times_of(self, frames: Int64[np.ndarray, " k"], path: Path) -> tuple[Float64[np.ndarray, " k"], str]:
        """When frames of these numbers, counted from 0, were; and a note that says how that is known.

        Raises:
            InputError: there is no such frame, or nothing says when frames were.
        """
        if self.times_s is not None:
            last = int(frames.max(initial=-1))
            if last >= len(self.times_s):
                raise InputError(
                    f"{path} has a map for frame {last + 1}, and the video has {len(self.times_s)} frames; is it another video, or is its first frame called 1 (first=1, --first-frame 1)?"
                )
            short = len(self.times_s) - last - 1
            note = f"times are those of the video's {len(self.times_s)} frames" + (
                f"; the last {short} have no map and are missing" if short else ""
            )
            return self.times_s[frames], note
        if self.rate_hz is not None:
            return frames / self.rate_hz, f"times are those of {self.rate_hz:g} frames per second, as was given"
        raise InputError(
            f"{path} does not say when its maps were; give the times of the video's frames (--video, times_s) or their rate (--rate, rate_hz)"
        )


class GazeStore(ABC):
    """Gaze on a video's clock, read a clip at a time.

    Attributes:
        path: of the file or folder.
        size: (h, w) of the video in pixels.
        notes: what was assumed or chosen.
        window_s: how far from a moment a sample may lie to speak for it, where a clip does not say.
        time_s: (n,) of all that is stored.
    """

    path: Path
    size: Size
    notes: tuple[str, ...]
    window_s: float
    time_s: Float64[np.ndarray, " n"]

    @abstractmethod
    def read(self, time_s: Float64[np.ndarray, " t"], window_s: float) -> GazeClip:
        """The clip; raises InputError where the file is broken."""

    def clip(self, time_s: Times, *, window_s: float | None = None) -> GazeClip:
        """The gaze at the times of a clip's frames.

        What cannot be read is MISSING, and a note of the clip names the file and says why.

        Args:
            time_s: (t,) seconds on the video's clock.
            window_s: how far a sample may lie from a moment to speak for it; None: the store's own.
        """
        moments = np.array(time_s, np.float64).reshape(-1)
        try:
            return self.read(moments, self.window_s if window_s is None else window_s)
        except InputError as error:
            return GazeClip.missing(torch.from_numpy(moments), self.size, notes=(str(error),))


class AbsentStore(GazeStore):
    """In the place of a recording that is not there or cannot be read: MISSING at all times.

    Args:
        path: where it was expected.
        size: (h, w) of the video.
        reason: what is wrong, with the path.
    """

    def __init__(self, path: Path, size: Size, reason: str) -> None:
        self.path, self.size, self.notes = path, size, (reason,)
        self.window_s, self.time_s = 1.0, np.zeros(0)

    def read(self, time_s: Float64[np.ndarray, " t"], window_s: float) -> GazeClip:
        """Nothing but why there is nothing."""
        return GazeClip.missing(torch.from_numpy(time_s), self.size, notes=self.notes)


class MapStore(GazeStore):
    """A store of maps. A subclass reads them; here is what they mean.

    Attributes:
        frame: of the maps over the picture.
        frame_number: (n,) the number of the video's frame of each map, from 0.
        video: the name of the video, empty where it is not known.
    """

    frame: Frame
    frame_number: Int64[np.ndarray, " n"]
    video: str = ""

    @abstractmethod
    def maps_at(self, index: Int64[np.ndarray, " k"]) -> Float32[np.ndarray, "k h w"]:
        """Stored maps at the scale of peak 1.

        Args:
            index: growing, each once.
        """

    def blocks(self, start: int, length: int) -> Iterator[Float32[np.ndarray, "k h w"]]:
        """All maps from one on, in blocks of a length, read once from front to back.

        Args:
            start: the number of the first.
            length: of a block; the last may be shorter.
        """
        for first in range(start, len(self.time_s), length):
            yield self.maps_at(np.arange(first, min(first + length, len(self.time_s))))

    def known_at(
        self, index: Int64[np.ndarray, " k"], maps: Float32[np.ndarray, "k h w"]
    ) -> tuple[UInt8[np.ndarray, " k"], Float64[np.ndarray, "k 2"], Float32[np.ndarray, " k"]]:
        """State, place in source pixels and confidence; by the maps, where nothing else was stored.

        Args:
            index: of the maps.
            maps: at the scale of peak 1.
        """
        state, cells = read_maps(maps)
        return state, cells_to_source(cells, self.frame), (state == GazeState.TRACKED).astype(np.float32)

    def read(self, time_s: Float64[np.ndarray, " t"], window_s: float) -> GazeClip:
        """The clip; raises InputError where the file is broken."""
        t = len(time_s)
        h, w = self.frame.size
        maps, xy = np.zeros((t, h, w), np.float32), np.full((t, 2), np.nan)
        state, confidence = np.full(t, GazeState.MISSING, np.uint8), np.zeros(t, np.float32)
        nearest, near = nearest_index(self.time_s, time_s, window_s)
        if near.any():
            index, back = np.unique(nearest[near], return_inverse=True)
            read = self.maps_at(index)
            known = self.known_at(index, read)
            maps[near] = read[back]
            state[near], xy[near], confidence[near] = (part[back] for part in known)
            maps[state != GazeState.TRACKED] = 0
        return GazeClip(
            torch.from_numpy(time_s),
            torch.from_numpy(xy),
            torch.from_numpy(state.astype(np.int64)),
            torch.from_numpy(confidence),
            torch.from_numpy(maps),
            self.frame,
        )


def nearest_index(stored: np.ndarray, moments: np.ndarray, window_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Of every moment the nearest of growing stored times, of two as near the earlier, and whether it is near enough.

    Args:
        stored: (n,) growing.
        moments: (t,).
        window_s: how far one may lie.
    """
    if not len(stored):
        return np.zeros(len(moments), np.int64), np.zeros(len(moments), bool)
    behind = np.searchsorted(stored, moments).clip(0, len(stored) - 1)
    before = (behind - 1).clip(0)
    # times of frames are sums of rounded fractions: what differs by less than a nanosecond is as near
    index = np.where(np.abs(stored[before] - moments) <= np.abs(stored[behind] - moments) + 1e-9, before, behind)
    index = np.where(np.abs(stored[behind] - moments) < 1e-9, behind, index)
    return index, np.abs(stored[index] - moments) <= window_s + 1e-9


def usual_window_s(time_s: np.ndarray) -> float:
    """One and a half of the usual distance between samples, at least 20 ms: a single lost sample is no gap."""
    return max(0.02, 1.5 * float(np.median(np.diff(time_s)))) if len(time_s) > 1 else 0.05


def read_maps(maps: Float32[np.ndarray, "k h w"]) -> tuple[UInt8[np.ndarray, " k"], Float64[np.ndarray, "k 2"]]:
    """What maps say by themselves: MISSING where all cells are equal (zeros, or uniform) or one is not finite; and
    where the others are highest, between cells as a Gaussian through the highest one and its neighbours has it.

    Args:
        maps: at the scale of peak 1.

    Returns:
        States, and places (x, y) in cells, NaN where MISSING.
    """
    k, h, w = maps.shape
    flat = maps.reshape(k, -1)
    high, low = flat.max(-1), flat.min(-1)
    with np.errstate(invalid="ignore"):  # of infinite values, which are passed over
        tracked = np.isfinite(high) & np.isfinite(low) & (high - low > 1e-6 * np.abs(high))
    peak = np.argmax(flat, -1)
    rows, columns = peak // w, peak % w
    each = np.arange(k)
    cells = np.stack(
        [
            columns + 0.5 + _between(maps[each, rows], columns, w),
            rows + 0.5 + _between(maps[each, :, columns], rows, h),
        ],
        -1,
    )
    # a plateau is no Gaussian: its middle; few maps have one, and the others are not looked at again
    for i in np.flatnonzero(tracked & ((flat == high[:, None]).sum(-1) > 2)):
        ys, xs = np.nonzero(maps[i] == high[i])
        cells[i] = xs.mean() + 0.5, ys.mean() + 0.5
    cells[~tracked] = np.nan
    return np.where(tracked, GazeState.TRACKED, GazeState.MISSING).astype(np.uint8), cells


def _between(lines: Float32[np.ndarray, "k n"], at: Int64[np.ndarray, " k"], length: int) -> Float64[np.ndarray, " k"]:
    """How far beside its highest cell a Gaussian through that one and its neighbours has its peak; 0 at the edge."""
    each, inner = np.arange(len(at)), at.clip(1, max(length - 2, 1))
    if length < 3:
        return np.zeros(len(at))
    with np.errstate(divide="ignore", invalid="ignore"):
        left, middle, right = (np.log(lines[each, inner + step].astype(np.float64)) for step in (-1, 0, 1))
        shift = 0.5 * (left - right) / (left - 2 * middle + right)
    good = np.isfinite(shift) & (np.abs(shift) <= 0.5 + 1e-6) & (inner == at)
    return np.where(good, shift, 0.0)


def cells_to_source(cells: Float64[np.ndarray, "k 2"], frame: Frame) -> Float64[np.ndarray, "k 2"]:
    """Places in source pixels.

    Args:
        cells: (k, 2) in the frame's cells.
        frame: single.
    """
    return frame.points_to_source(torch.from_numpy(cells)).numpy()


def map_frame(cells: Size, size: Size | None) -> tuple[Frame, tuple[str, ...]]:
    """The frame of maps that span the whole picture, and what a person should know of it.

    Args:
        cells: (h, w) of the maps.
        size: (h, w) of the video, None where it is not known.
    """
    if size is None:
        return Frame.identity(cells), (
            f"the video's size was not given: places are in cells of the {cells[1]} x {cells[0]} maps",
        )
    return Frame.resize(size, cells), ()


def with_notes(clip: GazeClip, notes: Sequence[str]) -> GazeClip:
    """The same clip with more to know of it.

    Args:
        clip: any.
        notes: a line each.
    """
    return replace(clip, notes=(*clip.notes, *notes)) if notes else clip
