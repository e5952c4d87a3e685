"""``isotherm train grounding``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import TrainGrounding
from isotherm.jobs.train.grounding import run as run_job


def run(options: TrainGrounding, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        dpath = run_job(options, reporter, command=["isotherm", *arguments])
    if dpath is not None:
        say(f'trained: {dpath}\ntry it:  isotherm predict grounding PICTURE "INSTRUCTION" --run {dpath}')
    return 0
