"""A job on the console: a bar where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from isotherm.cli.options import Common
from isotherm.jobs.reporter import Kind, Reporter
from isotherm.ops.visible import visible
from isotherm.progress import Progress

ALARM = "bold white on red"
"""How a line looks that nobody should overlook."""
VERDICTS = {"believable": "green", "doubtful": "yellow", "do not trust": "red"}
"""Of each verdict the colour of its word."""
EVERY_S = 10.0
"""Without a terminal, a line of progress at most so often."""


def say(text: object, *, error: bool = False) -> None:
    """Print a line, or several, with what is hidden in names and answers of others spelt out.

    Args:
        error: to where errors are told.
    """
    print(visible(str(text), lines=True), file=sys.stderr if error else sys.stdout)


class ConsoleReporter(Reporter):
    """Prints what a job tells: failures always, the rest unless quiet.

    Args:
        options: of the command.
        by_lines: without a terminal, tell progress in lines; jobs that print their results do not need it.
    """

    def __init__(self, options: Common, *, by_lines: bool = False) -> None:
        super().__init__()
        self.console = Console(stderr=True, quiet=options.quiet, highlight=False)
        self._alarms: list[str] = []
        self._items = 0
        self._debug, self._by_lines, self._last = options.debug, by_lines, -EVERY_S
        self._bar: Bar | None = None
        self._stage = ""
        self._task = TaskID(0)

    def __enter__(self) -> ConsoleReporter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def alarms(self) -> list[str]:
        """The lines that nobody should look at a result without knowing, to be repeated at the end; none where they
        stand just above it, as they do where one picture was explained and not quietly.
        """
        return [] if self._items == 1 and not self.console.quiet else self._alarms

    def item(self, facts: Mapping[str, Any]) -> None:
        self._items += 1

    def progress(self, progress: Progress) -> None:
        if self.console.quiet or progress.total == 1:
            return
        if not self.console.is_terminal:
            if self._by_lines and (progress.last or time.monotonic() - self._last >= EVERY_S):
                self._last = time.monotonic()
                self.console.print(visible(str(progress), lines=True), markup=False, soft_wrap=True)
            return
        if self._bar is None:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Bar(*columns, console=self.console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=progress.total)
        if progress.stage != self._stage:  # another stage takes another time
            self._bar.reset(self._task)
            self._stage = progress.stage
        self._bar.update(
            self._task,
            completed=progress.step,
            total=progress.total,
            description=visible(progress.text or progress.stage),
        )

    def message(self, text: str, kind: Kind = "note") -> None:
        text = visible(text, lines=True)
        if kind == "failure":
            print(f"isotherm: {text}", file=sys.stderr)
            return
        if kind == "alarm":
            self._alarms.append(text)
        self.console.print(self._coloured(text), markup=False, soft_wrap=True, style=ALARM if kind == "alarm" else None)

    def _coloured(self, text: str) -> Text:
        """A line with the word of its verdict in its colour, where it has one and the terminal has colours."""
        line = Text(text)
        for word, colour in VERDICTS.items():
            line.highlight_regex(rf"(?<=→ ){word}", f"bold {colour}")
        return line

    def error(self, error: BaseException) -> None:
        if self._debug:
            self.console.print_exception()
