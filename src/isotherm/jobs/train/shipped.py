"""The job behind ``isotherm train scenes`` and the others: what ships, by its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from isotherm.jobs.reporter import Reporter
from isotherm.jobs.train.recipe_modules import recipe_module
from isotherm.jobs.train.shipped_options import TrainShippedJob
from isotherm.train.keypoint_recipe import set_at, with_settings
from isotherm.train.recipe import read_recipe
from isotherm.zoo.shipped import ship


@dataclass(frozen=True)
class ShippedWeights:
    """A network that was trained: its weights, and everything that stands beside them in NAME.json."""

    fpath: Path
    facts: dict[str, Any]


def run(options: TrainShippedJob, reporter: Reporter | None = None) -> ShippedWeights:
    """Train by the recipe of a network that ships, or go on with it; the command is noted as the recipe says it.

    Args: as of :func:`isotherm.jobs.explain.run.run`.

    Raises:
        JobCancelled: it was cancelled; its record says so, and the same job goes on from the last checkpoint.
    """
    reporter = Reporter() if reporter is None else reporter
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    task = options.words[1]
    recipe = recipe_module(task).recipe_from(plain_recipe(options), where=str(options.config or "the options"))
    out = options.out
    if out is None:
        out = Path("runs") / f"{task}-{recipe.training.seed}.safetensors"
        out.parent.mkdir(exist_ok=True)
    return ShippedWeights(out, ship(recipe, out, say=reporter.say))


def plain_recipe(options: TrainShippedJob) -> dict[str, Any]:
    """The recipe as nested dictionaries: a file's, changed by the options."""
    plain = {} if options.config is None else read_recipe(options.config)
    for path, value in (("training.seed", options.seed), ("training.steps", options.steps)):
        if value is not None:
            set_at(plain, path, value)
    set_at(plain, "devices", {"accelerator": options.device})
    return with_settings(plain, options.set)
