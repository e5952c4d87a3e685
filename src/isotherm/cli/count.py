"""``isotherm count``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.exit_code import closing, exit_code
from isotherm.cli.options import Count
from isotherm.jobs.count.run import run as run_job
from isotherm.jobs.reporter import Kind


class _CountReporter(ConsoleReporter):
    """Counts are what the command is for, so they go to the standard output."""

    def message(self, text: str, kind: Kind = "note") -> None:
        if kind == "result":
            say(text)
        else:
            super().message(text, kind)


def run(options: Count, arguments: Sequence[str]) -> int:
    with _CountReporter(options, by_lines=True) as reporter:
        summary = run_job(options, reporter, command=["isotherm", *arguments])
    say("\n".join([*reporter.alarms, closing(summary)]))
    if summary.done:
        say(f"look at {summary.dpath}/*.jpg; dots, answers and expected numbers are in the .json beside each")
    return exit_code(summary, nothing="none of the pictures could be counted; the reasons stand above")
