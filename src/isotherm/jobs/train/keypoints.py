"""The job behind ``isotherm train keypoints``: a recipe, or annotations and a backbone, to a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotherm.jobs.reporter import Reporter
from isotherm.jobs.train.kept import kept_recipe
from isotherm.jobs.train.keypoints_options import TrainKeypointsJob
from isotherm.ops.shell import shell_line
from isotherm.progress import silent
from isotherm.runs.record import numbered
from isotherm.train.keypoint_recipe import set_at, with_settings
from isotherm.train.keypoint_run import recipe_from, train_run
from isotherm.train.recipe import read_recipe


def run(
    options: TrainKeypointsJob, reporter: Reporter | None = None, *, command: Sequence[str] | None = None
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
    recipe = recipe_from(plain, where=name)
    worker = recipe.devices.worker()
    folder = options.resume or options.out
    where: list[Path] = [] if folder is None else [folder]

    def made() -> Path:
        where.append(numbered(Path("runs"), "keypoints"))
        return where[0]

    train_run(
        recipe,
        folder or made,
        root=root,
        command=shell_line(options.command_line() if command is None else command),
        skip_bad=options.skip_bad,
        worker=worker,
        say=reporter.say if worker.first else silent,
    )
    return where[0] if worker.first else None


def recipe_of(options: TrainKeypointsJob) -> tuple[dict[str, Any], Path, str]:
    """(the recipe as nested dictionaries, the folder that its paths start from, what to call it in messages)."""
    if options.resume is not None:
        plain, root, where = kept_recipe(options.resume)
    elif options.config is not None:
        plain, root, where = (
            read_recipe(options.config, example="recipes/beetle.yaml"),
            options.config.parent,
            str(options.config),
        )
    else:
        parts = {"file": options.data, "images": options.images, "orientation": options.orientation}
        source = {name: str(value) for name, value in parts.items() if value is not None}
        plain, root, where = {"data": {"train": [source]}}, Path(), "the recipe made of the options"
    if options.backbone is not None:
        set_at(plain, "model.backbone", options.backbone)
    model, training = plain.setdefault("model", {}), plain.setdefault("training", {})
    if options.resume is None and isinstance(model, dict) and isinstance(training, dict):
        # what the two say of each other must agree: a network that is made here is trained, one that is loaded is
        # frozen
        model.setdefault("frozen", model.get("backbone", "conv") != "conv" and not training.get("backbone_rate"))
        training.setdefault(
            "backbone_rate", 0.0 if model["frozen"] else 1.0 if model.get("backbone", "conv") == "conv" else 0.1
        )
    if options.steps is not None:
        set_at(plain, "training.steps", options.steps)
    if options.track is not None:
        set_at(plain, "tracking.to", options.track)
    set_at(plain, "devices", {"accelerator": options.device, "devices": options.devices, "nodes": options.nodes})
    return with_settings(plain, options.set), root, where
