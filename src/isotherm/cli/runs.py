"""``isotherm runs``: a table of the runs in a folder, or the same as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from isotherm.cli.console import say
from isotherm.cli.options import Runs
from isotherm.ops.visible import visible
from isotherm.runs.file import to_json
from isotherm.runs.read import RunList, list_runs

NUMBERS = ("done", "failed", "seconds")
"""Columns whose digits stand below each other."""


def run(options: Runs, arguments: Sequence[str]) -> int:
    runs = list_runs(options.dpath)
    if options.json:
        say(json.dumps(to_json(plain(runs)), indent=1, allow_nan=False))
        return 0
    if len(runs):
        # where lines go on to another program, none is cut
        Console(highlight=False, width=None if os.isatty(1) else 10_000).print(table_of(runs))
    else:
        say(f"there are no runs in {options.dpath}")
    if not options.quiet:
        for dpath, reason in runs.skipped:
            say(f"skipped {dpath}: {reason}", error=True)
    return 0


def table_of(runs: RunList) -> Table:
    """A row for each run."""
    table = Table(box=None, pad_edge=False)
    for name in ("started", "job", "status", "done", "failed", "seconds", "folder", "command"):
        table.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    for entry in runs:
        cells = [
            entry.started.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            entry.job,
            entry.status,
            *("-" if count is None else str(count) for count in (entry.done, entry.failed)),
            "-" if entry.seconds is None else f"{entry.seconds:.1f}",
            str(entry.dpath),
            entry.command,
        ]
        table.add_row(
            *(Text(visible(cell)) for cell in cells)
        )  # as text: a command may hold what rich takes for markup
    return table


def plain(runs: RunList) -> dict[str, object]:
    """The list as JSON can hold it."""
    return {
        "runs": [{**asdict(e), "dpath": str(e.dpath), "started": e.started.isoformat()} for e in runs],
        "skipped": [{"dpath": str(dpath), "reason": reason} for dpath, reason in runs.skipped],
    }
