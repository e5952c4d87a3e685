"""Lines of a long job: a bar where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

STEP = re.compile(r"(?:step|read) (\d+) of (\d+)(?: pictures)?(?:: )?(.*)")
EVERY_S = 10.0
"""Without a terminal, a line of progress at most so often."""


@contextmanager
def progress_lines(console: Console) -> Iterator[Callable[[str], None]]:
    """A function that takes a job's lines; those that say 'step 3 of 10: ...' move the bar."""
    if not console.is_terminal or console.quiet:
        last = [0.0]

        def plain(line: str) -> None:
            match = STEP.match(line)
            if match and match[1] != match[2] and time.monotonic() - last[0] < EVERY_S:
                return
            if match:
                last[0] = time.monotonic()
            console.print(line, markup=False, soft_wrap=True)

        yield plain
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=None)

        def moved(line: str) -> None:
            match = STEP.match(line)
            if match:
                bar.update(task, completed=int(match[1]), total=int(match[2]), description=match[3] or line.split()[0])
            else:
                bar.console.print(line, markup=False, soft_wrap=True)

        yield moved
