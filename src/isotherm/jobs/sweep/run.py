"""The job behind ``isotherm sweep``: a recipe trained many times, on Ray, with one report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from isotherm.jobs.reporter import Reporter
from isotherm.jobs.sweep.options import SweepJob
from isotherm.jobs.train.recipe_modules import recipe_module
from isotherm.ops.shell import shell_line
from isotherm.runs.file import RunFile, ending
from isotherm.train.ray_tune import run_trials
from isotherm.train.sweep import Sweep, Trial, keep_sweep, read_sweep, trials_of
from isotherm.train.sweep_report import write_sweep_report


@dataclass(frozen=True)
class SweepResult:
    """A sweep that has ended: what it was, its trials, and its report."""

    sweep: Sweep
    trials: list[Trial]
    report: Path


def run(options: SweepJob, reporter: Reporter | None = None, *, command: Sequence[str] | None = None) -> SweepResult:
    """Train every trial, or go on with a sweep; what is known is in the report, also after an interruption.

    Args: as of :func:`isotherm.jobs.explain.run.run`.

    Raises:
        JobCancelled: it was cancelled; its record says so, and the same job goes on with it.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    sweep = read_sweep(options.recipe, recipe_module)
    if options.at_once is not None:
        sweep = replace(sweep, config=replace(sweep.config, at_once=options.at_once))
    config = sweep.config
    dpath = options.out or Path("runs") / options.recipe.stem
    keep_sweep(dpath, asdict(config), sweep.recipe)
    file = RunFile(dpath, "sweep", command=words, options=options.to_json())
    ended: dict[str, str] = {}
    status = "finished"
    try:
        listed = config.listed()
        reporter.message(
            f"{len(listed) if listed is not None else config.trials} trials in {dpath}; the same command goes on with them"
        )
        ended = run_trials(sweep, dpath=dpath, address=options.address, skip_bad=options.skip_bad, say=reporter.say)
    except BaseException as error:
        status = ending(type(error), error)
        raise
    finally:
        trials = trials_of(dpath, sweep.metric, ended, better=sweep.better)
        report = write_sweep_report(sweep, trials, dpath, command=shell_line(words))
        file.end(status)
    return SweepResult(sweep, trials, report)
