"""``isotherm sweep``: a recipe trained many times, on Ray, with one report."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from isotherm.cli.keypoint_options import Sweep
from isotherm.cli.progress import progress_lines
from isotherm.cli.recipe_modules import recipe_module
from isotherm.train.ray_tune import run_trials
from isotherm.train.sweep import keep_sweep, read_sweep, trials_of
from isotherm.train.sweep_report import table_rows, write_sweep_report


def run(options: Sweep, arguments: Sequence[str]) -> int:
    sweep = read_sweep(options.recipe, recipe_module)
    if options.at_once is not None:
        sweep = replace(sweep, config=replace(sweep.config, at_once=options.at_once))
    config = sweep.config
    dpath = options.out or Path("runs") / options.recipe.stem
    keep_sweep(dpath, asdict(config), sweep.recipe)
    command = shlex.join(["isotherm", *arguments])
    console = Console(stderr=True, quiet=options.quiet, highlight=False)
    ended: dict[str, str] = {}
    try:
        with progress_lines(console) as say:
            listed = config.listed()
            say(
                f"{len(listed) if listed is not None else config.trials} trials in {dpath}; the same command goes on with them"
            )
            ended = run_trials(sweep, dpath=dpath, address=options.address, skip_bad=options.skip_bad, say=say)
    finally:  # what is known is in the report, also after an interruption
        trials = trials_of(dpath, sweep.metric, ended, better=sweep.better)
        report = write_sweep_report(sweep, trials, dpath, command=command)
    table = Table(box=None)
    head, rows = table_rows(sweep, trials)
    for name in head:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, width=None if os.isatty(1) else 160).print(table)
    print(f"\nlook at {report}")
    return 1 if any(t.status.startswith("failed") for t in trials) else 0
