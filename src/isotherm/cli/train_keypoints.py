"""``isotherm train keypoints``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import TrainKeypoints
from isotherm.jobs.train.keypoints import run as run_job


def run(options: TrainKeypoints, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        dpath = run_job(options, reporter, command=["isotherm", *arguments])
    if dpath is not None:
        say(f"trained: {dpath}\ntry it:  isotherm predict keypoints PICTURE --run {dpath}")
    return 0
