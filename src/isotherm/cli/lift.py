"""``isotherm lift``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import Lift
from isotherm.jobs.lift.run import run as run_job


def run(options: Lift, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        place = run_job(options, reporter, command=["isotherm", *arguments])
    say(f"{place}\nlook at {place.dpath}/*.jpg; the numbers are in {place.dpath / 'point.json'}")
    return 0
