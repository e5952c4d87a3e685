"""``isotherm gaze convert``: the job on the console."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter
from isotherm.cli.options import GazeConvert
from isotherm.jobs.gaze.convert_run import run as run_job


def run(options: GazeConvert, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        written = run_job(options, reporter, command=["isotherm", *arguments])
    if str(written):
        print(written)
    for path, reason in written.failed.items():
        print(f"{path} was not converted: {reason}", file=sys.stderr)
    return 1 if written.failed else 0
