"""``isotherm ablate anticipation``: the job on the console, and its table."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import AblateAnticipation
from isotherm.jobs.ablate.anticipation import run as run_job
from isotherm.metrics.intervals import FEWEST
from isotherm.train.anticipation.ablation import parts_of, table_rows


def run(options: AblateAnticipation, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        result = run_job(options, reporter, command=["isotherm", *arguments])
    heads, rows = table_rows(result.arms)
    table = Table(box=None)
    for name in heads:
        table.add_column(name, justify="right" if name not in heads[:2] else "left")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, width=None if os.isatty(1) else 160).print(table)
    say(f"\naction accuracy in per cent, with 95 % intervals over clips and seeds; runs and figures: {result.dpath}")
    if not all(arm.accuracy(part).known for arm in result.arms for part in parts_of(arm)):
        say(f"figures without an interval are of fewer than {FEWEST} clips")
    return 0
