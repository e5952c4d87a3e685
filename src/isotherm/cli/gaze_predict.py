"""``isotherm gaze predict``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import GazePredict
from isotherm.jobs.predict.gaze import run as run_job


def run(options: GazePredict, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        result = run_job(options, reporter, command=["isotherm", *arguments])
    for alarm in reporter.alarms:
        say(alarm)
    say(f"{result.frames} frames, {len(result.people)} people; maps, points and gaze.csv in {result.dpath}")
    if result.film is not None:
        say(f"look at {result.film}")
    return 0
