"""``isotherm train scenes | detector | tiny-vlm``: the networks that ship, from a recipe and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from isotherm.cli.progress import progress_lines
from isotherm.cli.recipe_modules import recipe_module
from isotherm.cli.train_options import TrainDetector, TrainScenes, TrainShipped, TrainTinyVlm
from isotherm.errors import OptionError
from isotherm.train.keypoint_recipe import set_at, with_settings
from isotherm.train.recipe import read_recipe
from isotherm.zoo.shipped import ship

TASKS: dict[type[TrainShipped], str] = {TrainScenes: "scenes", TrainDetector: "detector", TrainTinyVlm: "tiny-vlm"}


def run(options: TrainShipped, arguments: Sequence[str]) -> int:
    if options.threads is not None:
        if options.threads < 1:
            raise OptionError(f"--threads {options.threads}: expected at least 1")
        torch.set_num_threads(options.threads)
    task = TASKS[type(options)]
    recipe = recipe_module(task).recipe_from(plain_recipe(options), where=str(options.config or "the options"))
    out = options.out
    if out is None:
        out = Path("runs") / f"{task}-{recipe.training.seed}.safetensors"
        out.parent.mkdir(exist_ok=True)
    console = Console(stderr=True, quiet=options.quiet, highlight=False)
    with progress_lines(console) as say:
        found = ship(recipe, out, say=say)
    figures = found["results"]["held_out"]
    shown = {name: value for name, value in figures.items() if isinstance(value, float)}
    print("held out: " + ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in shown.items()))
    print(f"trained: {out}\ntry it:  isotherm explain PICTURE --model {task} --weights {out}")
    return 0


def plain_recipe(options: TrainShipped) -> dict[str, Any]:
    """The recipe as nested dictionaries: a file's, changed by the options."""
    plain = {} if options.config is None else read_recipe(options.config)
    for path, value in (("training.seed", options.seed), ("training.steps", options.steps)):
        if value is not None:
            set_at(plain, path, value)
    set_at(plain, "devices", {"accelerator": options.device})
    return with_settings(plain, options.set)
