"""The job behind ``isotherm eval fsc147``: a model's counts judged on pictures whose objects are all marked."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from isotherm.cam.premises import premises_of
from isotherm.data.fsc147 import read_fsc147
from isotherm.jobs.count.choices import config_of, counting_view
from isotherm.jobs.evaluate.fsc147_options import EvalFsc147Job
from isotherm.jobs.reporter import Reporter
from isotherm.models.choose import OpenModel
from isotherm.systems.counting_evaluation import evaluate_counting
from isotherm.vlm.view import LanguageView


def run(
    options: EvalFsc147Job,
    reporter: Reporter | None = None,
    *,
    opened: OpenModel | LanguageView | None = None,
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Judge a model's counts; what the folder has already is not asked about again.

    Args: as of :func:`isotherm.jobs.explain.run.run`.

    Returns:
        What ``results.json`` holds: see :func:`isotherm.systems.counting_evaluation.summarised`.

    Raises:
        JobCancelled: it was cancelled; the same job goes on with the folder.
        OptionError: options that do not fit.
    """
    reporter = Reporter() if reporter is None else reporter
    config = config_of(options)
    pictures = read_fsc147(options.data, options.split)[: options.limit]
    view, reason = counting_view(options, opened)
    for premise in premises_of(view):
        if premise.alarming:
            reporter.message(str(premise), "alarm")
    reporter.message(f"model: {reason}")
    return evaluate_counting(
        view,
        pictures,
        options.out,
        strategy=options.strategy,
        config=config,
        data=f"{options.data.name} {options.split}{'' if options.limit is None else f', first {options.limit}'}",
        command=shlex.join(options.command_line() if command is None else command),
        say=reporter.say,
    )
