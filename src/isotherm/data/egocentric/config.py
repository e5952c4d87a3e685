"""What generated egocentric clips are made like, and what their labels are called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from isotherm.errors import OptionError

Part = Literal["gaze", "out_of_frame", "video"]
PARTS: tuple[Part, ...] = get_args(Part)
Look = Literal["plain", "varied", "unseen"]
LOOKS: tuple[Look, ...] = get_args(Look)

NOUNS = ("disc", "ring", "bar", "cross", "triangle", "pair")
"""The classes of objects, which are shapes; a noun's number is a class's."""
VERBS = ("take", "turn", "wipe", "carry away", "press", "pour")
"""The first three follow from what was looked at before the target, the next from gaze that leaves the picture, the
last two from the fingers' colour."""
FROM_PREVIOUS, CARRY, FROM_FINGERS = 3, 3, (4, 5)
ACTIONS: tuple[tuple[int, int], ...] = tuple((verb, noun) for verb in range(len(VERBS)) for noun in range(len(NOUNS)))
"""(verb, noun) of every action, in order; all of them occur."""
GRID = 4
"""Cells of the table along each side; every object lies in one of its own."""

TRAINING, VALIDATION, HELD_OUT = range(0, 1 << 40), range(1 << 40, 1 << 41), range(1 << 41, 1 << 42)
"""Disjoint numbers of clips: fit on the first, choose on the second, report the third."""


@dataclass(frozen=True, kw_only=True)
class EgocentricConfig:
    """How clips are drawn and shown.

    Lengths are shares of the side, so a larger picture shows the same clip.

    Args:
        side: height and width in pixels, at least 16.
        frames: of a clip.
        rates_hz: frames per second; each clip has one of them. The person moves and looks in seconds, so at another
            rate other moments are shown.
        objects: in each picture, of six classes, no class twice; 3 to 6.
        gaze, out_of_frame, video: the shares of the three parts, which need not add up to 1.
        look: 'plain': each class has a colour of its own; 'varied': only the shape tells the class; 'unseen': colours,
            sizes and angles that no 'varied' object has.
        drift: of the camera, most per second.
        noise: standard deviation per pixel, of 255.
        jitter: standard deviation of gaze about the centre of what is looked at.

    Raises:
        OptionError: a value out of range, or a rate at which the look before the last would not be seen.
    """

    side: int = 32
    frames: int = 8
    rates_hz: tuple[float, ...] = (8.0,)
    objects: int = 4
    gaze: float = 0.5
    out_of_frame: float = 0.25
    video: float = 0.25
    look: Look = "plain"
    drift: float = 0.09
    noise: float = 8.0
    jitter: float = 0.02

    def __post_init__(self) -> None:
        if self.side < 16 or not 3 <= self.objects <= len(NOUNS):
            raise OptionError(
                f"side is {self.side} and objects {self.objects}; expected at least 16 pixels, and 3 to {len(NOUNS)}"
            )
        if self.look not in LOOKS:
            raise OptionError(f"look is {self.look!r}; expected one of {', '.join(LOOKS)}")
        shares = (self.gaze, self.out_of_frame, self.video)
        if min(shares) < 0 or not 0 < sum(shares) < math.inf:
            raise OptionError(
                f"the shares of {', '.join(PARTS)} are {shares}; expected at least 0 each, and one above 0"
            )
        if not 0 <= self.drift <= 0.1 or not 0 <= self.noise <= 64 or not 0 <= self.jitter <= 0.1:
            raise OptionError(
                f"drift is {self.drift}, noise {self.noise} and jitter {self.jitter}; expected 0 to 0.1, 0 to 64 and 0 to 0.1"
            )
        if not self.rates_hz:
            raise OptionError("rates_hz is empty; expected at least one number of frames per second, such as 8")
        # the looks of the last three quarters of a second must be frames, each of them at least one
        for rate in self.rates_hz:
            if not 4 < rate < math.inf or (self.frames - 1) / rate <= 0.5 or (self.frames - 1) / rate > 2:
                raise OptionError(
                    f"{self.frames} frames at {rate:g} Hz last {(self.frames - 1) / rate if rate else math.inf:.2f} s; expected a rate "
                    "above 4 Hz, and more than 0.5 and at most 2 s, so that every look is seen"
                )

    @property
    def shares(self) -> Mapping[Part, float]:
        """The share of each part; they add up to 1."""
        total = self.gaze + self.out_of_frame + self.video
        return {"gaze": self.gaze / total, "out_of_frame": self.out_of_frame / total, "video": self.video / total}
