"""``isotherm gaze convert``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import GazeConvert
from isotherm.jobs.gaze.convert_run import run as run_job


def run(options: GazeConvert, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        written = run_job(options, reporter, command=["isotherm", *arguments])
    if str(written):
        say(written)
    for path, reason in written.failed.items():
        say(f"{path} was not converted: {reason}", error=True)
    return 1 if written.failed else 0
