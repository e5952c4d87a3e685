"""What a long job tells: a bar where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console

from isotherm.progress import Progress, Say

EVERY_S = 10.0
"""Without a terminal, a line of progress at most so often."""


@contextmanager
def progress_lines(console: Console) -> Iterator[Say]:
    """A function that takes what a job tells: progress moves the bar, remarks stay as lines."""
    if not console.is_terminal or console.quiet:
        told = [-EVERY_S]  # when progress was last written; the first of it always is

        def plain(message: Progress | str) -> None:
            if isinstance(message, Progress):
                if not message.last and time.monotonic() - told[0] < EVERY_S:
                    return
                told[0] = time.monotonic()
            console.print(str(message), markup=False, soft_wrap=True)

        yield plain
        return
    bar = bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task, stage = bar.add_task("", total=None), [""]

        def moved(message: Progress | str) -> None:
            if not isinstance(message, Progress):
                bar.console.print(message, markup=False, soft_wrap=True)
                return
            if message.stage != stage[0]:  # another stage takes another time
                bar.reset(task)
                stage[0] = message.stage
            bar.update(task, completed=message.step, total=message.total, description=message.text or message.stage)

        yield moved
