"""What a file of gaze says, before it is on the clock of a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.frame import Size

Clock = Literal["video", "device"]
Unit = Literal["pixels", "shares"]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a format needs beside its file.

    Args:
        size: (h, w) of the video, None where it is not known.
        gaze_size: (h, w) of the picture whose pixels the file counts; None: the format's own, or the video's.
        calibration: the camera's, for formats that give directions.
        least_confidence: samples below it are MISSING.
        first: the number of the video's first frame, in formats that number frames; None: the format's own.

    Raises:
        OptionError: a number out of range.
    """

    size: Size | None = None
    gaze_size: Size | None = None
    calibration: Path | None = None
    least_confidence: float = 0.6
    first: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.least_confidence <= 1:
            raise OptionError(f"least_confidence is {self.least_confidence}; expected a number from 0 to 1")
        if self.first not in (None, 0, 1):
            raise OptionError(f"first is {self.first}; expected 0 or 1")


@dataclass(frozen=True, eq=False)
class RawGaze:
    """Samples as a file has them, in its order.

    Args:
        path: of the file.
        format: its name.
        time_ns: (n,) nanoseconds on the clock that ``clock`` names.
        xy: (n, 2) from the top left, in ``unit``, edge-origin; NaN where there is none.
        unit: pixels of a picture of ``gaze_size``, or shares of its width and height.
        confidence: (n,) 0 to 1.
        clock: "video": 0 is the video's first frame; "device": of the recorder, whose zero says nothing.
        frame: (n,) the number of the video's frame of each sample, from 0, where the format says it.
        phase: where in its frame's interval such a sample lies on average: 0 at its start, 0.5 in its middle.
        gaze_size: (h, w) of the picture whose pixels are counted; None: the video's.
        rate_hz: of the frames that are numbered, where the format fixes it.
        missing: of every reason for which a sample has no place, how many.
        notes: what was assumed or chosen.

    Raises:
        ShapeError: parts of different lengths.
        InputError: no samples.
    """

    path: Path
    format: str
    time_ns: Int64[np.ndarray, " n"]
    xy: Float64[np.ndarray, "n 2"]
    unit: Unit
    confidence: Float32[np.ndarray, " n"]
    clock: Clock
    frame: Int64[np.ndarray, " n"] | None = None
    phase: float = 0.0
    gaze_size: Size | None = None
    rate_hz: float | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.time_ns)
        for name in ("xy", "confidence", "frame"):
            part = getattr(self, name)
            if part is not None and len(part) != n:
                raise ShapeError(f"{name} has {len(part)} entries; expected {n}, one for each time")
        if not n:
            raise InputError(f"{self.path} has no samples; expected at least one")


class Missing:
    """Takes places from samples, and counts why.

    Args:
        xy: (n, 2), changed in place.
    """

    def __init__(self, xy: Float64[np.ndarray, "n 2"]) -> None:
        self.xy = xy
        self.counts: dict[str, int] = {}

    def where(self, rows: Bool[np.ndarray, " n"], reason: str) -> None:
        """Take the places of those that still have one.

        Args:
            rows: which.
            reason: why, in words for a report.
        """
        rows = rows & np.isfinite(self.xy).all(-1)
        if rows.any():
            self.counts[reason] = self.counts.get(reason, 0) + int(rows.sum())
            self.xy[rows] = np.nan

    def empty(self, reason: str = "no place in the file") -> None:
        """Count those that never had a place, as the first thing to be counted.

        Args:
            reason: why, in words for a report.
        """
        none = ~np.isfinite(self.xy).all(-1)
        if none.any():
            self.counts[reason] = int(none.sum())
            self.xy[none] = np.nan


def checked_shares(xy: Float64[np.ndarray, "n 2"], path: Path, columns: str) -> None:
    """Refuse shares of a picture that are pixels.

    Args:
        xy: NaN is passed over.
        path, columns: for the message.

    Raises:
        InputError: most of them lie far outside of 0 to 1.
    """
    known = xy[np.isfinite(xy).all(-1)]
    if len(known) and np.median(np.abs(known).max(-1)) > 2:
        x, y = np.median(known, 0)
        raise InputError(
            f"{path}: {columns} are about ({x:.4g}, {y:.4g}); expected shares of the picture, from 0 to 1: these look like pixels"
        )


def checked_pixels(xy: Float64[np.ndarray, "n 2"], path: Path, columns: str) -> None:
    """Refuse pixels that are shares of a picture.

    Args:
        xy: NaN is passed over.
        path, columns: for the message.

    Raises:
        InputError: none of them lies outside of 0 to 1.
    """
    known = xy[np.isfinite(xy).all(-1)]
    if len(known) > 1 and ((known >= 0) & (known <= 1)).all():
        raise InputError(f"{path}: all of {columns} lie from 0 to 1; expected pixels: these look like shares")
