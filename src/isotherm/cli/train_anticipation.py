"""``isotherm train anticipation``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import TrainAnticipation
from isotherm.jobs.train.anticipation import run as run_job


def run(options: TrainAnticipation, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        dpath = run_job(options, reporter, command=["isotherm", *arguments])
    if dpath is not None:
        say(f"run: {dpath}; its figures are in {dpath / 'evaluation.json'} and {dpath / 'metrics.csv'}")
    return 0
