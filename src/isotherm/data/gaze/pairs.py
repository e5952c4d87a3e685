"""Two clocks compared by moments that both have seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

NTSC_PPM = 1000
"""1001 / 1000: 60 against 59.94, 30 against 29.97 and 24 against 23.976 frames per second."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The same moments on the recorder's and on the video's clock.

    Args:
        device_s: (k,) seconds of the recorder.
        video_s: (k,) seconds of the video.
    """

    device_s: Float64[np.ndarray, " k"]
    video_s: Float64[np.ndarray, " k"]

    @cached_property
    def line(self) -> tuple[float, float]:
        """(a, b) of the line video = a + b device, by least squares; b is 1 for a single pair."""
        if len(self.device_s) < 2:
            return float(self.video_s[0] - self.device_s[0]), 1.0
        middle = self.device_s.mean()
        slope, height = np.polyfit(self.device_s - middle, self.video_s, 1)
        return float(height - slope * middle), float(slope)

    @property
    def residual_s(self) -> Float64[np.ndarray, " k"]:
        """(k,) how much later the video shows each moment than the line says."""
        a, b = self.line
        return self.video_s - (a + b * self.device_s)

    @property
    def slope_error(self) -> float:
        """The standard error of b."""
        if len(self.device_s) < 3:
            return 0.0
        spread = float(((self.device_s - self.device_s.mean()) ** 2).sum())
        return math.sqrt(float((self.residual_s**2).sum()) / (len(self.device_s) - 2) / spread)

    def jump_words(self, drift_ppm: float) -> str:
        """Where one jump between two moments explains a drift, which no clock has; empty where none does.

        Args:
            drift_ppm: of the line.
        """
        if len(self.device_s) < 4:
            return ""
        apart = np.diff(self.video_s) - np.diff(self.device_s)
        apart = apart - float(np.median(apart))
        at = int(np.abs(apart).argmax())
        whole = drift_ppm / 1e6 * float(self.device_s[-1] - self.device_s[0])
        # a line through a step leans by up to one and a half times the step
        if abs(whole) < 0.25 * abs(apart[at]) or abs(whole) > 2 * abs(apart[at]) or whole * apart[at] < 0:
            return ""
        return f"the clocks jump by {abs(apart[at]) * 1e3:.3g} ms at {self.video_s[at + 1]:.2f} s of the video, as where frames were dropped or repeated"


def drift_words(drift_ppm: float, open_ppm: float) -> str:
    """What a drift may mean.

    Args:
        drift_ppm: by how many millionths the video's clock runs faster than the recorder's.
        open_ppm: what the pairs leave open.

    Example:
        >>> drift_words(1000.2, 5.0)
        'the clocks differ as 1001 : 1000, as 60 and 59.94 frames per second do'
    """
    if abs(abs(drift_ppm) - NTSC_PPM) <= max(40.0, open_ppm) and open_ppm < NTSC_PPM / 2:
        return "the clocks differ as 1001 : 1000, as 60 and 59.94 frames per second do"
    per_hour = drift_ppm * 3600 / 1e6
    return f"the clocks run {abs(per_hour):.3g} s apart in an hour"
