"""The job behind ``isotherm train grounding``: a recipe, or instructions and a language model, to a run's folder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotherm.jobs.reporter import Reporter
from isotherm.jobs.train.grounding_options import TrainGroundingJob
from isotherm.jobs.train.kept import kept_recipe
from isotherm.ops.shell import shell_line
from isotherm.progress import silent
from isotherm.runs.record import numbered
from isotherm.train.grounding.recipe import GroundingRecipe
from isotherm.train.grounding.run import train_run
from isotherm.train.keypoint_recipe import set_at, with_settings
from isotherm.train.recipe import from_plain, read_recipe

LANGUAGE: dict[str, dict[str, Any]] = {
    "frozen": {"frozen": True, "lora": None},
    "lora": {"frozen": False, "lora": {}},
    "whole": {"frozen": False, "lora": None},
}


def run(
    options: TrainGroundingJob, reporter: Reporter | None = None, *, command: Sequence[str] | None = None
) -> Path | None:
    """Train, or go on with what is there.

    Args: as of :func:`isotherm.jobs.explain.run.run`.

    Returns:
        The run's folder; None in a process that only helps another one.

    Raises:
        JobCancelled: it was cancelled; its record says so, and ``resume`` goes on from the last checkpoint.
    """
    reporter = Reporter() if reporter is None else reporter
    plain, root, name = recipe_of(options)
    recipe = from_plain(GroundingRecipe, plain, where=name)
    worker = recipe.devices.worker()
    folder = options.resume or options.out
    where: list[Path] = [] if folder is None else [folder]

    def made() -> Path:
        where.append(numbered(Path("runs"), "grounding"))
        return where[0]

    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", UserWarning)
        shown: set[str] = set()

        def say(message: Any) -> None:
            # the model is made inside of the run, so what it warns of is told as soon as anything is
            for warning in list(raised):
                text = str(warning.message)
                if "instruction" in text and text not in shown:
                    shown.add(text)
                    reporter.message(text, "alarm")
            reporter.say(message)

        train_run(
            recipe,
            folder or made,
            root=root,
            command=shell_line(options.command_line() if command is None else command),
            skip_bad=options.skip_bad,
            worker=worker,
            say=say if worker.first else silent,
        )
    return where[0] if worker.first else None


def recipe_of(options: TrainGroundingJob) -> tuple[dict[str, Any], Path, str]:
    """(the recipe as nested dictionaries, the folder that its paths start from, what to call it in messages)."""
    if options.resume is not None:
        plain, root, where = kept_recipe(
            options.resume, parts=("data", "model", "training", "within_cells", "most_risk")
        )
    elif options.config is not None:
        plain, root, where = (
            read_recipe(options.config, example="recipes/first_grounding.yaml"),
            options.config.parent,
            str(options.config),
        )
    else:
        parts = {
            "file": options.data,
            "images": options.images,
            "instances": options.instances,
            "split": options.split,
            "orientation": options.orientation,
        }
        source = {name: str(value) for name, value in parts.items() if value is not None}
        plain, root, where = {"data": {"train": [source]}}, Path(), "the recipe made of the options"
    if options.language is not None:
        for name, value in LANGUAGE[options.language].items():
            set_at(plain, f"model.{name}", value)
    for path, chosen in (
        ("model.model", options.model),
        ("model.conditioning", options.conditioning),
        ("model.seed", options.seed),
        ("training.seed", options.seed),
        ("training.steps", options.steps),
        ("tracking.to", options.track),
    ):
        if chosen is not None:
            set_at(plain, path, chosen)
    set_at(plain, "devices", {"accelerator": options.device, "devices": options.devices, "nodes": options.nodes})
    return with_settings(plain, options.set), root, where
