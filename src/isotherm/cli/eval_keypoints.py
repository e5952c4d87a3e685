"""``isotherm eval keypoints``: the job on the console, and its table."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import EvalKeypoints
from isotherm.jobs.evaluate.keypoints import run as run_job


def run(options: EvalKeypoints, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        evaluation = run_job(options, reporter, command=["isotherm", *arguments])
    say(evaluation.judged.table())
    summary = evaluation.summary
    say(f"\n{summary.done} pictures; table, figures and the best and worst pictures in {summary.dpath}")
    return 0
