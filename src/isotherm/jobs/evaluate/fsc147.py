"""The job behind ``isotherm eval fsc147``: a model's counts judged on pictures whose objects are all marked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from isotherm.atomic import atomic_write
from isotherm.cam.premises import premises_of
from isotherm.data.fsc147 import read_fsc147
from isotherm.errors import InputError, OptionError
from isotherm.jobs.count.choices import config_of, counting_view
from isotherm.jobs.evaluate.fsc147_options import EvalFsc147Job
from isotherm.jobs.reporter import Reporter
from isotherm.models.choose import OpenModel
from isotherm.ops.shell import shell_line
from isotherm.runs.file import RunFile, ending, to_json
from isotherm.systems.counting_evaluation import RESULTS, evaluate_counting
from isotherm.vlm.choose import token_methods
from isotherm.vlm.view import LanguageView

TABLE_FORMAT = "isotherm.counting_comparison/1"


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
        What ``results.json`` holds: see :func:`isotherm.systems.counting_evaluation.summarised`. For several strategies
        or methods it is ``ways``, the figures of each; each has a folder of its own in the job's, with its lines.

    Raises:
        JobCancelled: it was cancelled; the same job goes on with the folder.
        OptionError: options that do not fit.
    """
    reporter = Reporter() if reporter is None else reporter
    config = config_of(options)
    for method in options.methods:
        token_methods(method)  # refuses what it does not know, before a model is loaded
    pictures = read_fsc147(options.data, options.split, orientation=options.orientation, say=reporter.say)[
        : options.limit
    ]
    view, reason = counting_view(options, opened)
    for premise in premises_of(view):
        if premise.alarming:
            reporter.message(str(premise), "alarm")
    reporter.message(f"model: {reason}")
    data = f"{options.data.name} {options.split}{'' if options.limit is None else f', first {options.limit}'}{', stored' if options.orientation == 'stored' else ''}"
    line = shell_line(options.command_line() if command is None else command)
    ways = [(strategy, method) for strategy in options.strategies for method in options.methods]
    several = len(ways) > 1

    def judge(dpath: Path, strategy: str, method: str | None) -> dict[str, Any]:
        way = config if method is None else replace(config, method=method)
        return evaluate_counting(
            view, pictures, dpath, strategy=strategy, config=way, data=data, command=line, say=reporter.say
        )

    if not several:
        return judge(options.out, *ways[0])
    with _table(options.out, line, model=view.name, data=data, ways=[_name(*way) for way in ways]):
        judged = []
        for strategy, method in ways:
            reporter.message(f"strategy {strategy}{'' if method is None else f', method {method}'}")
            judged.append(judge(options.out / _name(strategy, method), strategy, method))
        results = {"format": TABLE_FORMAT, "model": view.name, "data": data, "command": line, "ways": judged}
        with atomic_write(options.out / RESULTS) as file:
            file.write(json.dumps(to_json(results), indent=1, allow_nan=False).encode())
    return results


def _name(strategy: str, method: str | None) -> str:
    return strategy if method is None else f"{strategy}-{method}"


@contextmanager
def _table(dpath: Path, command: str, **facts: Any) -> Iterator[None]:
    """The record of all ways together, while they are judged; each has one of its own in its folder."""
    if (dpath / "recipe.json").is_file():
        raise OptionError(f"{dpath} holds the judgement of one strategy; choose another folder with --out for several")
    try:
        dpath.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {dpath} cannot be made ({error.strerror})") from error
    file = RunFile(dpath, "eval", command=command, **facts)
    try:
        yield
    except BaseException as error:
        file.end(ending(type(error), error))
        raise
    file.end("finished")
