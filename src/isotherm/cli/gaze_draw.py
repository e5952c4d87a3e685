"""``isotherm gaze draw``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import GazeDraw
from isotherm.jobs.gaze.draw_run import run as run_job


def run(options: GazeDraw, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        film = run_job(options, reporter, command=["isotherm", *arguments])
    for alarm in reporter.alarms:
        say(alarm)
    say(f"look at {film}")
    return 0
