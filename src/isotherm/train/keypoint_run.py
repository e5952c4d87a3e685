"""A whole run: data read and cached, model made and proved, trained, judged, and everything written into one folder.

``recipe.json`` decides the numbers, ``run.json`` says when and with which versions it was started, ``metrics.csv`` has
the figures, ``checkpoint.pt`` is gone on from, ``model.safetensors`` is the averaged model of the last checkpoint and
``best.safetensors`` that of the best validation, ``evaluation.json`` and ``pictures`` are from the best one.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from isotherm.atomic import atomic_write
from isotherm.data.keypoint_cache import CachedKeypoints, cache_keypoints
from isotherm.data.keypoints import KeypointSet
from isotherm.errors import InputError, OptionError
from isotherm.models.backbone import check_backbone
from isotherm.progress import Say, silent
from isotherm.runs.file import to_json
from isotherm.train.keypoint_build import TrainedKeypoints, make_model, open_keypoints, save_keypoints
from isotherm.train.keypoint_data import read_data
from isotherm.train.keypoint_figures import check_figure, check_recipe
from isotherm.train.keypoint_model import KeypointModel
from isotherm.train.keypoint_recipe import KeypointRecipe
from isotherm.train.keypoint_validate import LOGGED, Judged, calibrated, judge, logged_figures, write_extremes
from isotherm.train.keypoints import train_keypoints
from isotherm.train.older_recipe import by_defaults
from isotherm.train.recipe import from_plain
from isotherm.train.recipe_module import Better, OnValidation, better_of
from isotherm.train.run_folder import RunFolder
from isotherm.train.started import agreed_folder, started_run
from isotherm.train.worker import Worker

METRICS: Mapping[str, Better] = {name: "more" if name in ("oks", "inside_95") else "less" for name in LOGGED}
"""As :class:`isotherm.train.recipe_module.RecipeModule` has it, which this module fulfils."""
GROUP_METRICS: Mapping[str, Better] = {**METRICS, "*_line_err_cm": "less", "line_err_px": "less", "pck@*": "more"}
"""Of single lines, and of groups of pictures as ``val/<group>/<figure>``."""
LAST, BEST = "model.safetensors", "best.safetensors"
EXTREMES = 8
"""Best pictures, and worst ones, that a run keeps."""


def train_run(
    recipe: KeypointRecipe,
    dpath: Path | Callable[[], Path],
    *,
    root: Path,
    cache_dpath: Path | None = None,
    command: str = "",
    skip_bad: bool = False,
    worker: Worker | None = None,
    on_validation: OnValidation = lambda step, figures: None,
    say: Say = silent,
) -> TrainedKeypoints:
    """Train what a recipe says in a folder, or go on with it; a run that is finished is opened and left as it is.

    Args:
        dpath: the run's folder, or a function that makes one, called when the data have been read.
        root: where relative paths of the data start.
        cache_dpath: for decoded pictures; by default the folder ``.cache`` beside the run, which runs on the same data
            share.
        command: what is noted as having made the run.
        skip_bad: leave out pictures and annotations that cannot be read.
        worker: this process, if several share the work.
        on_validation: called with the step and the figures of every validation.

    Returns:
        The best model by validation, or the last where nothing validates.

    Raises:
        As :func:`isotherm.train.loop.run_loop` and the readers of the data.
    """
    worker = recipe.devices.worker() if worker is None else worker
    announce = say if worker.first else silent
    training, validation = read_data(recipe.data, root=root, skip_bad=skip_bad, say=announce)
    if not len(training):
        raise InputError("no pictures are left to train on; look at what was skipped, and at hold_out")
    config, names = recipe.training, training.names
    if len(validation):
        spread = config.objective.loss != "coordinate_mse"
        check_figure(config.judged_by, validation, option="training.judged_by", spread=spread)
    model = make_model(recipe.model, len(names), size=config.size)
    check_backbone(model.backbone, size=config.size)
    dpath = agreed_folder(dpath, "keypoints", worker=worker, say=announce)
    data, other = _cached(
        recipe, training, validation, cache_dpath or dpath.parent / ".cache", worker, skip_bad=skip_bad, say=announce
    )
    folder = RunFolder(
        dpath,
        {**recipe.deciding(), "points": names, "pictures": [_fingerprint(data), _fingerprint(other)]},
        complete=by_defaults(KeypointRecipe),
    )
    announce(_described(model, recipe, training, validation))
    if config.objective.note:
        announce(config.objective.note)

    def kept(averaged: nn.Module, step: int) -> dict[str, float]:
        trained = _trained(averaged, recipe, training)
        if not len(other):
            save_keypoints(trained, dpath / LAST)
            return {}
        judged = judge(averaged, config.objective, other, training, size=config.size, batch=config.batch, draws=1)
        scale, ellipses = calibrated(judged, other, training)
        save_keypoints(replace(trained, covariance_scale=scale, ellipses=ellipses), dpath / LAST)
        figures = logged_figures(judged, other.group)
        name = config.judged_by
        if name not in figures:
            raise OptionError(
                f"training.judged_by is {name!r}, which this validation does not have; expected one of {', '.join(figures)}"
            )
        folder.keep_best(name, figures[name], step=step, last=LAST, best=BEST)
        figures = {name: figures[name], **figures}
        short = {key: value for key, value in figures.items() if key == name or not key.startswith("val/")}
        announce(f"validation at step {step}: " + ", ".join(f"{key} {value:.4g}" for key, value in short.items()))
        on_validation(step, figures)
        return figures

    with started_run(
        folder,
        "keypoints",
        tracking=recipe.tracking,
        recipe=recipe.deciding(),
        worker=worker,
        root=root,
        command=command,
    ) as tracker:
        train_keypoints(config, model, data, training, folder, worker=worker, validate=kept, say=say)
        best = open_keypoints(dpath / (BEST if (dpath / BEST).is_file() else LAST))
        if worker.first and len(other):
            judged = judge(best.model, config.objective, other, training, size=config.size, batch=config.batch)
            write_evaluation(judged, dpath / "evaluation.json")
            for fpath in write_extremes(judged, other, training, dpath / "pictures", count=EXTREMES, command=command):
                tracker.picture(fpath.stem, _rgb(fpath), config.steps)
            announce(judged.table())
        if worker.first:
            folder.write_parquet()
    return best


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> KeypointRecipe:
    """The checked recipe of nested dictionaries.

    Args:
        where: what to call it in messages.
        judged: refuse a recipe that nothing validates.

    Raises:
        OptionError: an option that does not exist, a value out of range, or nothing that validates.
    """
    recipe = from_plain(KeypointRecipe, plain, where=where)
    if better_of(sys.modules[__name__], recipe.training.judged_by) != "less":
        raise OptionError(
            f"{where or 'the recipe'}: training.judged_by is {recipe.training.judged_by!r}; expected a figure of which less is better, such as point_err_px or val/hawaii/length_line_err_cm"
        )
    check_metric(recipe, recipe.training.judged_by, option=f"{where or 'the recipe'}: training.judged_by")
    if judged and not recipe.data.validation and not recipe.data.hold_out:
        raise OptionError(
            f"{where}: nothing validates, so trials cannot be compared; give data.validation, or data.hold_out"
        )
    return recipe


def check_metric(recipe: KeypointRecipe, name: str, *, option: str, root: Path | None = None) -> None:
    """Refuse a figure that the validation of a recipe will not have, as far as that is known before its data are read.

    Args:
        option: what asks for it, for the message.
        root: where the paths of its data start, to look into the files; None: no file is read.

    Raises:
        OptionError: no such figure, group or line, with those that there are.
    """
    spread = recipe.training.objective.loss != "coordinate_mse"
    check_recipe(name, recipe.data, option=option, root=root, spread=spread)


def usage_of(dpath: Path) -> str:
    """The command that finds keypoints by the trained model of a run's folder."""
    return f"isotherm predict keypoints PICTURE --run {dpath}"


def open_run(where: str | Path) -> tuple[TrainedKeypoints, str]:
    """(the trained model of a run's folder or of a .safetensors file, a line that says which one it is).

    Raises:
        InputError: neither, or a run that has kept nothing yet.
    """
    path = Path(where)
    if path.is_file():
        return open_keypoints(path), f"model {path}"
    for name, why in ((BEST, "the best by validation"), (LAST, "the last one")):
        if (path / name).is_file():
            return open_keypoints(path / name), f"model {path / name}, {why}"
    if not path.exists():
        raise InputError(
            f"there is no {path}; expected the folder of a training run, such as runs/keypoints-001, or a .safetensors file of one"
        )
    raise InputError(
        f"{path} holds no trained model ({BEST} or {LAST}); expected the folder of a training run, such as runs/keypoints-001"
    )


def write_evaluation(judged: Judged, fpath: Path, **facts: Any) -> None:
    """The report as JSON."""
    with atomic_write(fpath) as file:
        file.write(json.dumps(to_json({**facts, **judged.to_json()}), indent=1, allow_nan=False).encode())


def _cached(
    recipe: KeypointRecipe,
    training: KeypointSet,
    validation: KeypointSet,
    dpath: Path,
    worker: Worker,
    *,
    skip_bad: bool,
    say: Say,
) -> tuple[CachedKeypoints, CachedKeypoints]:
    largest = max(recipe.training.size)
    # augmentation looks around in what is kept, so it is larger; what is only judged is kept as it is shown
    sides = math.ceil(largest * recipe.data.enlarged), largest

    def both() -> tuple[CachedKeypoints, CachedKeypoints]:
        sources = [
            cache_keypoints(
                part, dpath, side=side, margin=recipe.data.margin, fit=recipe.data.fit, skip_bad=skip_bad, say=say
            )
            for part, side in zip((training, validation), sides, strict=True)
        ]
        return sources[0], sources[1]

    if worker.world == 1:
        return both()
    if worker.first:  # one process decodes, then all read the same files
        both()
    worker.agree("cached")
    return both()


def _trained(model: nn.Module, recipe: KeypointRecipe, data: KeypointSet) -> TrainedKeypoints:
    assert isinstance(model, KeypointModel)
    return TrainedKeypoints(
        model=model,
        choice=recipe.model,
        objective=recipe.training.objective,
        size=recipe.training.size,
        names=data.names,
        exchangeable=data.exchangeable,
        swaps=data.swaps,
        lines=data.lines,
        margin=recipe.data.margin,
        fit=recipe.data.fit,
    )


def _described(model: KeypointModel, recipe: KeypointRecipe, training: KeypointSet, validation: KeypointSet) -> str:
    trained, whole = (
        sum(p.numel() for p in model.parameters() if p.requires_grad or not only) for only in (True, False)
    )
    groups = ", ".join(f"{n} {name}" for name, n in training.groups.items() if name)
    return (
        f"{len(training)} pictures to train on{f' ({groups})' if groups else ''}, {len(validation)} to validate; {recipe.model.backbone} with the head "
        f"{recipe.model.head}, {trained:,} of {whole:,} parameters trained; {recipe.training.objective.loss}, decoded by {recipe.training.objective.decoding}"
    )


def _fingerprint(data: CachedKeypoints) -> str:
    """What the data are: the same pictures and labels, the same text."""
    digest = hashlib.sha256()
    for part in (data.points, data.state, data.px_per_cm, data.frame.to_source):
        digest.update(part.contiguous().numpy().tobytes())
    digest.update("\n".join([*data.group, *(r.name for r in data.records)]).encode())
    return f"{len(data)} records, {digest.hexdigest()[:16]}"


def _rgb(fpath: Path) -> Any:
    from isotherm.data.pictures import read_picture

    return read_picture(fpath).array
