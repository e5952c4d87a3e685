"""``isotherm predict grounding``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.exit_code import closing, exit_code
from isotherm.cli.options import PredictGrounding
from isotherm.jobs.predict.grounding import run as run_job


def run(options: PredictGrounding, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        summary = run_job(options, reporter, command=["isotherm", *arguments])
    say(closing(summary))
    if summary.done:
        say(f"look at {summary.dpath}/*.jpg; the numbers are in {summary.dpath / 'places.json'}, the maps in *.npz")
    return exit_code(summary, nothing="none of the pictures could be read or answered; the reasons stand above")
