"""``isotherm eval grounding``: the job on the console, and its figures."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import EvalGrounding
from isotherm.jobs.evaluate.grounding import run as run_job


def run(options: EvalGrounding, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        evaluation = run_job(options, reporter, command=["isotherm", *arguments])
    figures, summary = evaluation.judged.figures(), evaluation.summary
    say(evaluation.report.table())
    say(f"answered: {figures['answered']:.0%}, of these wrong: {figures['answered_wrong']:.0%}")
    print(
        f"\n{summary.done} maps; figures, a row each and the best and worst pictures in {summary.dpath}; look at {summary.dpath / 'report.html'}"
    )
    return 0
