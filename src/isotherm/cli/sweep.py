"""``isotherm sweep``: the job on the console, and its table."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import Sweep
from isotherm.jobs.sweep.run import run as run_job
from isotherm.train.sweep_report import matrix_of, table_rows


def run(options: Sweep, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        result = run_job(options, reporter, command=["isotherm", *arguments])
    table = Table(box=None)
    head, rows = table_rows(result.sweep, result.trials)
    for name in head:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, width=None if os.isatty(1) else 160).print(table)
    matrix = matrix_of(result.sweep, result.trials)
    if matrix is not None:
        grid, (head, rows) = Table(box=None, title=result.sweep.metric, title_justify="left"), matrix.table()
        for name in head:
            grid.add_column(name, justify="right")
        for row in rows:
            grid.add_row(*row)
        Console(highlight=False, width=None if os.isatty(1) else 160).print(grid)
    say(f"\nlook at {result.report}")
    return 1 if any(trial.status.startswith("failed") for trial in result.trials) else 0
