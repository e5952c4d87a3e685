"""Learning rates over a run: warm-up, then cosine, a long plateau with a decline (WSD), or constant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from isotherm.errors import OptionError

Shape = Literal["cosine", "wsd", "constant"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The factor of the peak learning rate at every step.

    Args:
        shape: 'cosine' falls from the end of the warm-up to the end; 'wsd' (warm-up, stable, decay) stays at the peak
            and falls linearly over the last ``decline`` of the run, so that it can be prolonged; 'constant' stays.
        warm_up: steps in which it rises linearly from 0; the first step already has a part of it.
        last: what is left at the end, as a share of the peak.
        decline: share of the run in which WSD falls.

    Source: Loshchilov and Hutter, "SGDR" (ICLR 2017), eq. 5; Hu et al., "MiniCPM" (2024), section 4.2.

    Example:
        >>> [round(Schedule(shape="wsd", warm_up=2, decline=0.5)(i, 8), 2) for i in range(8)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """

    shape: Shape = "cosine"
    warm_up: int = 0
    last: float = 0.0
    decline: float = 0.2

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise OptionError(f"shape is {self.shape!r}; expected one of {', '.join(get_args(Shape))}")
        if self.warm_up < 0 or not 0 <= self.last <= 1 or not 0 < self.decline <= 1:
            raise OptionError(
                f"warm_up is {self.warm_up}, last {self.last}, decline {self.decline}; expected at least 0, 0 to 1, and above 0 to 1"
            )

    def __call__(self, step: int, steps: int) -> float:
        """The factor at step 0, 1, ..., steps - 1."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        if self.shape == "constant":
            return 1.0
        if self.shape == "cosine":
            done = (step - self.warm_up) / max(1, steps - self.warm_up)
            return self.last + (1 - self.last) * (1 + math.cos(math.pi * done)) / 2
        falling = max(1.0, self.decline * steps)
        left = min(1.0, (steps - step) / falling)
        return self.last + (1 - self.last) * left
