"""``isotherm eval grounding``: the job on the console, and its figures."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter
from isotherm.cli.options import EvalGrounding
from isotherm.jobs.evaluate.grounding import run as run_job


def run(options: EvalGrounding, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        evaluation = run_job(options, reporter, command=["isotherm", *arguments])
    for name, value in evaluation.judged.figures().items():
        print(f"{name:>15}  {value:.4g}")
    summary = evaluation.summary
    print(f"\n{summary.done} maps; figures, a row each and the best and worst pictures in {summary.dpath}")
    return 0
