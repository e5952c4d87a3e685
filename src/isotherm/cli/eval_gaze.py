"""``isotherm eval gaze``: the job on the console, and its table."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import EvalGaze
from isotherm.jobs.evaluate.gaze import run as run_job


def run(options: EvalGaze, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options) as reporter:
        evaluation = run_job(options, reporter, command=["isotherm", *arguments])
    say(evaluation.table())
    summary = evaluation.summary
    print(
        f"\n{summary.done} clips; figures, a row for every moment, the best and the worst of them in {summary.dpath}; look at {summary.dpath / 'report.html'}"
    )
    return 0
