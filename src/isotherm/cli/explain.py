"""``isotherm explain``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter
from isotherm.cli.options import Explain
from isotherm.errors import InputError
from isotherm.jobs.explain.run import run as run_job


def run(options: Explain, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options) as reporter:
        summary = run_job(options, reporter, command=["isotherm", *arguments])
    print("\n".join([*reporter.alarms, str(summary)]))
    if summary.done == 0 and summary.status != "interrupted":
        raise InputError(
            f"none of the {len(summary.failed)} input(s) could be explained; the reasons stand above and in {summary.dpath / 'items.jsonl'}"
        )
    print(f"look at {summary.dpath / 'report.html'}")
    if summary.status == "interrupted":
        return 130
    return 1 if summary.failed else 0
