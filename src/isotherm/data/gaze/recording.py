"""A recording of gaze on the clock of its video, whatever file it was read from. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError, ShapeError
from isotherm.size import Size

Pooling = Literal["nearest", "mean"]


@dataclass(frozen=True, eq=False)
class GazeSamples:
    """The gaze at the moments that were asked for.

    Args:
        time_s: (n,) the moments, in the order in which they were asked for.
        xy: (n, 2) source pixels; NaN where MISSING, and where no place of an OUT_OF_FRAME gaze is known.
        state: (n,) of :class:`GazeState`.
        confidence: (n,) 0 to 1; 0 where MISSING.
        samples: (n,) how many samples of the recording each was made of.
    """

    time_s: Float64[np.ndarray, " n"]
    xy: Float64[np.ndarray, "n 2"]
    state: UInt8[np.ndarray, " n"]
    confidence: Float32[np.ndarray, " n"]
    samples: Int64[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class GazeRecording:
    """Where somebody looked in a video, sample by sample.

    Args:
        time_s: (n,) on the video's clock: 0 is its first frame; grows strictly, and may begin before 0.
        xy: (n, 2) source pixels, edge-origin from the top left; NaN where MISSING. An OUT_OF_FRAME gaze has a place
            beside the picture, or NaN where none is known.
        state: (n,) of :class:`GazeState`.
        confidence: (n,) 0 to 1; 1 where the format has none, which the notes say.
        size: (h, w) of the video in pixels.
        notes: what was assumed or chosen, a line each.

    Raises:
        ShapeError: the parts do not fit one another, times do not grow, or a state does not go with its place.

    Example:
        >>> recording = GazeRecording.of([0.0, 0.1], [[32.0, 24.0], [70.0, 24.0]], size=(48, 64))
        >>> recording.state.tolist()
        [0, 2]
        >>> recording.at([0.02, 5.0], window_s=0.05).state.tolist()
        [0, 1]
    """

    time_s: Float64[np.ndarray, " n"]
    xy: Float64[np.ndarray, "n 2"]
    state: UInt8[np.ndarray, " n"]
    confidence: Float32[np.ndarray, " n"]
    size: Size
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.time_s)
        for name, shape in {"xy": (n, 2), "state": (n,), "confidence": (n,)}.items():
            if getattr(self, name).shape != shape:
                raise ShapeError(
                    f"{name} has shape {getattr(self, name).shape}; expected {shape} to go with {n} times of samples"
                )
        if min(self.size) < 1:
            raise ShapeError(f"size is {self.size}; expected (h, w) of the video, both at least 1")
        if not np.isfinite(self.time_s).all():
            raise ShapeError("a time of a sample is not finite; expected seconds on the video's clock")
        late = np.flatnonzero(np.diff(self.time_s) <= 0)
        if len(late):
            i = int(late[0])
            raise ShapeError(
                f"sample {i + 1} at {self.time_s[i + 1]:.6f} s does not come after sample {i} at {self.time_s[i]:.6f} s; expected times that grow"
            )
        _check_states(self.xy, self.state)
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise ShapeError("a confidence is not between 0 and 1")

    @classmethod
    def of(
        cls,
        time_s: Sequence[float] | np.ndarray,
        xy: Sequence[Sequence[float]] | np.ndarray,
        *,
        size: Size,
        confidence: Sequence[float] | np.ndarray | None = None,
        notes: Sequence[str] = (),
    ) -> GazeRecording:
        """A recording from times and places alone: NaN is MISSING, what lies beside the picture OUT_OF_FRAME.

        Args:
            time_s: (n,) on the video's clock, growing.
            xy: (n, 2) source pixels, edge-origin from the top left.
            size: (h, w) of the video.
            confidence: (n,) 0 to 1; None: 1 wherever there is a place.
            notes: what was assumed or chosen.
        """
        places = np.array(xy, np.float64).reshape(-1, 2)
        state = states_of(places, size)
        places[state == GazeState.MISSING] = np.nan
        sure = np.ones(len(places), np.float32) if confidence is None else np.array(confidence, np.float32)
        sure = np.where(state == GazeState.MISSING, np.float32(0), sure)
        return cls(np.array(time_s, np.float64), places, state, sure, size, tuple(notes))

    def __len__(self) -> int:
        return len(self.time_s)

    def __bool__(self) -> bool:
        return True  # a recording without samples is still one

    def at(self, time_s: Sequence[float] | np.ndarray, *, window_s: float, pooling: Pooling = "nearest") -> GazeSamples:
        """The gaze at each of several moments.

        Args:
            time_s: (m,) on the video's clock, in any order.
            window_s: a sample speaks for moments up to so far from it, before and behind; where there is none, the gaze
                is MISSING.
            pooling: the nearest sample, of two as near the earlier; or the mean place of those samples in the window
                that have the state that most of them have (of two as frequent, TRACKED before MISSING before
                OUT_OF_FRAME).

        Raises:
            OptionError: the window is not a positive number.
        """
        if not 0 < window_s < np.inf:
            raise OptionError(f"window_s is {window_s}; expected seconds above 0")
        if pooling not in ("nearest", "mean"):
            raise OptionError(f"pooling is {pooling!r}; expected 'nearest' or 'mean'")
        moments = np.array(time_s, np.float64).reshape(-1)
        if not len(self):
            m = len(moments)
            nothing = np.full(m, GazeState.MISSING, np.uint8)
            return GazeSamples(
                moments, np.full((m, 2), np.nan), nothing, np.zeros(m, np.float32), np.zeros(m, np.int64)
            )
        return self._nearest(moments, window_s) if pooling == "nearest" else self._mean(moments, window_s)

    def _nearest(self, moments: np.ndarray, window_s: float) -> GazeSamples:
        behind = np.searchsorted(self.time_s, moments).clip(0, len(self) - 1)
        before = (behind - 1).clip(0)
        closer = np.abs(self.time_s[before] - moments) <= np.abs(self.time_s[behind] - moments)
        index = np.where(closer, before, behind)
        near = np.abs(self.time_s[index] - moments) <= window_s
        return GazeSamples(
            moments,
            np.where(near[:, None], self.xy[index], np.nan),
            np.where(near, self.state[index], GazeState.MISSING).astype(np.uint8),
            np.where(near, self.confidence[index], 0).astype(np.float32),
            near.astype(np.int64),
        )

    def _mean(self, moments: np.ndarray, window_s: float) -> GazeSamples:
        start = np.searchsorted(self.time_s, moments - window_s, side="left")
        stop = np.searchsorted(self.time_s, moments + window_s, side="right")

        def total(values: np.ndarray) -> np.ndarray:
            sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, 0, dtype=np.float64)])
            return sums[stop] - sums[start]

        has = np.stack([self.state == state for state in GazeState], -1)
        counts = total(has)
        state = np.where(counts.any(-1), counts.argmax(-1), GazeState.MISSING).astype(np.uint8)
        placed = has & np.isfinite(self.xy).all(-1)[:, None]
        of = np.arange(len(moments)), state
        with np.errstate(invalid="ignore", divide="ignore"):
            places = total(np.where(placed[:, :, None], self.xy[:, None], 0.0))[of] / total(placed)[of][:, None]
            sure = total(has * self.confidence[:, None])[of] / counts[of]
        return GazeSamples(
            moments,
            places,
            state,
            np.where(counts[of] > 0, sure, 0).astype(np.float32),
            np.where(counts.any(-1), counts[of], 0).astype(np.int64),
        )


def states_of(xy: Float64[np.ndarray, "n 2"], size: Size) -> UInt8[np.ndarray, " n"]:
    """States of places: MISSING where there is none, OUT_OF_FRAME beside the picture, TRACKED in it.

    Args:
        xy: (n, 2) source pixels, NaN where not known.
        size: (h, w) of the picture; its edges belong to it.
    """
    known = np.isfinite(xy).all(-1)
    state = np.where(_inside(xy, size), GazeState.TRACKED, GazeState.OUT_OF_FRAME)
    return np.where(known, state, GazeState.MISSING).astype(np.uint8)


def _inside(xy: np.ndarray, size: Size) -> Bool[np.ndarray, " n"]:
    with np.errstate(invalid="ignore"):
        return np.all((xy >= 0) & (xy <= np.array([size[1], size[0]])), axis=-1)


def _check_states(xy: np.ndarray, state: np.ndarray) -> None:
    known = np.isfinite(xy).all(-1)
    wrong = (state > max(GazeState)) | ((state == GazeState.TRACKED) & ~known) | ((state == GazeState.MISSING) & known)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise ShapeError(
            f"sample {i} has state {int(state[i])} and place {tuple(xy[i].tolist())}; expected a place where the state is 0 (tracked), NaN where it is 1 (missing), and either where it is 2 (out of frame)"
        )
