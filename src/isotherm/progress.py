"""How far a job is, as data: the console draws a bar of it, a server sends it on, nobody reads it back from text."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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


_listener: ContextVar[Say] = ContextVar("listener", default=silent)


EVERY_S = 0.2
"""Seconds between two words of one piece of work, of which a thousand steps may take a second."""


@contextmanager
def listening(say: Say) -> Iterator[None]:
    """Within the block, this thread's work deep inside tells how far it is by :func:`tell`.

    Args:
        say: what it is told to, at once, then some times a second, and at the end; what it raises ends the work.

    Example:
        >>> lines = []
        >>> with listening(lambda message: lines.append(str(message))):
        ...     tell(Progress(step=1, total=4, stage="RISE"))
        >>> lines
        ['RISE, 1 of 4']
    """
    before = -EVERY_S

    def now_and_then(message: Progress | str) -> None:
        nonlocal before
        if (isinstance(message, Progress) and message.last) or time.monotonic() - before >= EVERY_S:
            before = time.monotonic()
            say(message)

    token = _listener.set(now_and_then)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(progress: Progress) -> None:
    """Tell whoever listens how far the work is; where nobody does, nothing happens."""
    _listener.get()(progress)


def bar(message: Progress | str) -> None:
    """A :data:`Say` that draws a bar on the standard error stream, in one line."""
    if not isinstance(message, Progress) or not message.total:
        return
    done = min(24, 24 * message.step // message.total)
    line = f"{message.stage} [{'#' * done}{'.' * (24 - done)}] {message.step} of {message.total}"
    print(f"\r{line}", end="\n" if message.last else "", file=sys.stderr, flush=True)
