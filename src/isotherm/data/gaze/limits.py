"""What is still taken for aligned, and figures with their limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from isotherm.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class AlignOptions:
    """What is still taken for aligned, and what is known beforehand.

    Args:
        offset_s: is added to the times of gaze.
        start_together: the first sample belongs to the video's first frame, for recorders' clocks without any tie.
        tolerance_s: of nineteen in twenty pairs of times, how far they may lie from their line.
        drift_ppm: how many millionths the clocks may run apart, beside what the pairs leave open.
        coverage: share of the video's frames that must have a sample.
        frames: by how many frames the numbers of frames may differ.
        overhang_s: how long gaze may begin before the video or go on behind it, where nothing but its own word ties it
            to it.

    Raises:
        OptionError: a number out of range.
    """

    offset_s: float = 0.0
    start_together: bool = False
    tolerance_s: float = 0.02
    drift_ppm: float = 200.0
    coverage: float = 0.5
    frames: int = 2
    overhang_s: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.offset_s):
            raise OptionError(f"offset_s is {self.offset_s}; expected a finite number of seconds")
        for name in ("tolerance_s", "drift_ppm", "frames", "overhang_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(f"{name} is {getattr(self, name)}; expected a finite number of at least 0")
        if not 0 <= self.coverage <= 1:
            raise OptionError(f"coverage is {self.coverage}; expected a share from 0 to 1")


@dataclass(frozen=True)
class Check:
    """A figure with its limit.

    Args:
        name: what is measured.
        value: how much it is.
        limit: how much it may be.
        unit: of both.
        option: that moves the limit, as the command line has it.
        at_least: the limit is the least and not the most.
        hint: what it may mean where it is beyond the limit.
    """

    name: str
    value: float
    limit: float
    unit: str
    option: str = ""
    at_least: bool = False
    hint: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure keeps to its limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def words(self) -> str:
        """The figure and its limit."""
        side = "at least" if self.at_least else "at most"
        unit = self.unit if self.unit in ("", "%") else f" {self.unit}"
        return f"{self.name}: {self.value:.4g}{unit}, {side} {self.limit:.4g}{unit}"

    def __str__(self) -> str:
        if self.passed:
            return self.words
        return f"{self.words}{f': {self.hint}' if self.hint else ''}{f' ({self.option} moves the limit)' if self.option else ''}"


def refusal(checks: Sequence[Check]) -> str:
    """What is beyond its limit, as one message.

    Args:
        checks: that failed.
    """
    return "; ".join(str(check) for check in checks)
