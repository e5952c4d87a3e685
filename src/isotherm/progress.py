"""How far a job is, as data: the console draws a bar of it, a server sends it on, nobody reads it back from text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is.

    Args:
        step: how many steps are done, from 0 on.
        total: how many there are, as far as is known; None: that is not known.
        text: one line for a person about this step, such as 'loss 0.52, 3.1 steps a second'; may be empty.
        stage: what is being done, the same from the first step to the last, such as 'training' or 'drawing scenes'; a
            job may have several stages, one after another.

    Example:
        >>> str(Progress(step=3, total=10, text="loss 0.5", stage="training"))
        'training, 3 of 10: loss 0.5'
    """

    step: int
    total: int | None = None
    text: str = ""
    stage: str = ""

    @property
    def last(self) -> bool:
        """True where nothing of the stage is left to do."""
        return self.total is not None and self.step >= self.total

    def __str__(self) -> str:
        """The line for where there is no bar."""
        count = str(self.step) if self.total is None else f"{self.step} of {self.total}"
        return (f"{self.stage}, {count}" if self.stage else count) + (f": {self.text}" if self.text else "")


Say = Callable[[Progress | str], None]
"""What a job tells on its way: progress, or a remark, one line for a person that stays to be read."""


def silent(message: Progress | str) -> None:
    """A :data:`Say` that tells nobody."""
