"""``isotherm explain``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.exit_code import closing, exit_code
from isotherm.cli.options import Explain
from isotherm.data.missing import refuse_missing


def run(options: Explain, arguments: Sequence[str]) -> int:
    refuse_missing(options.sources)
    from isotherm.jobs.explain.run import run as run_job  # with torch, for which a slip in a name should not wait

    with ConsoleReporter(options) as reporter:
        summary = run_job(options, reporter, command=["isotherm", *arguments])
    say("\n".join([*reporter.alarms, closing(summary)]))
    if summary.done:
        say(f"look at {summary.dpath / 'report.html'}")
    return exit_code(
        summary,
        nothing=f"none of the {len(summary.failed)} input(s) could be explained; the reasons stand above and in {summary.dpath / 'items.jsonl'}",
    )
