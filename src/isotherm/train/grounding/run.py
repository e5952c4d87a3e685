"""A whole run: instructions read and cached, model made and asked whether the instruction arrives, trained, judged,
calibrated, and everything written into one folder.

``recipe.json`` decides the numbers, ``run.json`` says when and with which versions it was started, ``metrics.csv`` has
the figures, ``checkpoint.pt`` is gone on from, ``model.safetensors`` is the averaged model of the last checkpoint and
``best.safetensors`` that of the best validation, ``evaluation.json`` and ``pictures`` are from the best one.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from isotherm.atomic import atomic_write
from isotherm.data.grounding.cache import CachedGrounding, cache_grounding
from isotherm.data.grounding.records import GroundingSet
from isotherm.errors import InputError, OptionError
from isotherm.grounding.answer import Calibration
from isotherm.grounding.model import PROBES, GroundingModel
from isotherm.grounding.outputs import Outputs
from isotherm.models.transformers.vlm.checks import check_length, check_words
from isotherm.progress import Say, silent
from isotherm.runs.file import to_json
from isotherm.train.grounding.build import (
    BEST,
    LAST,
    TrainedGrounding,
    make_grounding,
    map_size,
    open_grounding,
    open_language_model,
    save_grounding,
    side_of,
)
from isotherm.train.grounding.data import read_instructions
from isotherm.train.grounding.pictures import write_extremes
from isotherm.train.grounding.recipe import GroundingRecipe
from isotherm.train.grounding.task import AugmentedData, GroundingTask
from isotherm.train.grounding.validate import LOGGED, fit_calibration, judge_maps, maps_of
from isotherm.train.loop import run_loop
from isotherm.train.older_recipe import by_defaults
from isotherm.train.recipe import from_plain
from isotherm.train.recipe_module import Better, OnValidation
from isotherm.train.run_folder import RunFolder
from isotherm.train.started import agreed_folder, started_run
from isotherm.train.worker import Worker

METRICS: Mapping[str, Better] = {name: "more" if name in ("hit", "answered") else "less" for name in LOGGED}
"""As :class:`isotherm.train.recipe_module.RecipeModule` has it, which this module fulfils."""
EXTREMES = 6
"""Best pictures, and worst ones, that a run keeps."""
LEAST_TO_CALIBRATE = 10
"""Maps of a validation; fewer say nothing about when to answer."""


def train_run(
    recipe: GroundingRecipe,
    dpath: Path | Callable[[], Path],
    *,
    root: Path,
    cache_dpath: Path | None = None,
    command: str = "",
    skip_bad: bool = False,
    worker: Worker | None = None,
    on_validation: OnValidation = lambda step, figures: None,
    say: Say = silent,
) -> TrainedGrounding:
    """Train what a recipe says in a folder, or go on with it; a run that is finished is opened and left as it is.

    Args:
        recipe: everything that decides the numbers.
        dpath: the run's folder, or a function that makes one, called when the data have been read.
        root: where relative paths of the data start.
        cache_dpath: for decoded pictures; by default the folder ``.cache`` beside the run.
        command: what is noted as having made the run.
        skip_bad: leave out instructions and pictures that cannot be read.
        worker: this process, if several share the work.
        on_validation: called with the step and the figures of every validation.
        say: is told how it goes.

    Returns:
        The best model by validation, or the last where nothing validates.

    Raises:
        As :func:`isotherm.train.loop.run_loop` and the readers of the data.
    """
    worker = recipe.devices.worker() if worker is None else worker
    announce = say if worker.first else silent
    apart = recipe.model.views == "apart"
    training, validation = read_instructions(recipe.data, root=root, apart=apart, skip_bad=skip_bad, say=announce)
    if not len(training):
        raise InputError("no instructions are left to train on; look at what was skipped, and at hold_out")
    _same_form(training, validation)
    view = open_language_model(recipe.model)
    _check_texts(view, training, validation)
    side = side_of(recipe.model, view)
    outputs = Outputs(steps=training.steps, grasp=training.grasp)
    model = make_grounding(recipe.model, outputs, view=view, probes=_two_texts(training))
    dpath = agreed_folder(dpath, "grounding", worker=worker, say=announce)
    data, other = _cached(
        recipe, training, validation, side, cache_dpath or dpath.parent / ".cache", worker, skip_bad, announce
    )
    folder = RunFolder(
        dpath,
        {**recipe.deciding(), "instructions": [_fingerprint(data), _fingerprint(other)]},
        complete=by_defaults(GroundingRecipe),
    )
    announce(_described(model, recipe, data, other))
    bare = TrainedGrounding(
        model=model,
        choice=recipe.model,
        objective=recipe.training.objective,
        outputs=outputs,
        side=side,
        views=training.views,
        view_names=training[0].views if not apart else (),
        calibration=Calibration(within_cells=recipe.within_cells),
    )

    def kept(averaged: nn.Module, step: int) -> dict[str, float]:
        assert isinstance(averaged, GroundingModel)
        trained = replace(bare, model=averaged)
        if not len(other):
            save_grounding(trained, dpath / LAST)
            return {}
        maps = maps_of(averaged, other, trained, batch=recipe.training.batch)
        if len(maps.logits) >= LEAST_TO_CALIBRATE:
            fitted = fit_calibration(
                maps,
                sigma_cells=recipe.training.objective.sigma,
                within_cells=recipe.within_cells,
                most_risk=recipe.most_risk,
            )
            trained = replace(trained, calibration=fitted)
        save_grounding(trained, dpath / LAST)
        figures = judge_maps(maps, trained.calibration).figures()
        folder.keep_best(LOGGED[0], figures[LOGGED[0]], step=step, last=LAST, best=BEST)
        announce(f"validation at step {step}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))
        on_validation(step, figures)
        return figures

    with started_run(
        folder,
        "grounding",
        tracking=recipe.tracking,
        recipe=recipe.deciding(),
        worker=worker,
        root=root,
        command=command,
        instruction_change=model.instruction_change,
    ) as tracker:
        shown = AugmentedData(data, recipe.training.augmentation, side=side)
        cells = map_size(model, side=side, views=training.views)
        task = GroundingTask(recipe.training, model, shown, outputs, cells=cells)
        run_loop(recipe.training, task, folder, worker=worker, validate=kept, say=say)
        best, _ = open_grounding(dpath, model=model)  # a second language model might not fit
        if worker.first and len(other):
            judged = judge_maps(maps_of(best.model, other, best, batch=recipe.training.batch), best.calibration)
            facts = {**judged.to_json(), **asdict(best.calibration)}
            with atomic_write(dpath / "evaluation.json") as file:
                file.write(json.dumps(to_json(facts), indent=1, allow_nan=False).encode())
            for fpath in write_extremes(judged, other, best, dpath / "pictures", count=EXTREMES, command=command):
                tracker.picture(fpath.stem, _rgb(fpath), recipe.training.steps)
        elif worker.first:
            announce("nothing was held out, so the model has no measure of how sure it is, and answers everything")
        if worker.first:
            folder.write_parquet()
    return best


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> GroundingRecipe:
    """The checked recipe of nested dictionaries.

    Args:
        plain: as YAML has them.
        where: what to call it in messages.
        judged: refuse a recipe that nothing validates.

    Raises:
        OptionError: an option that does not exist, a value out of range, or nothing that validates.
    """
    recipe = from_plain(GroundingRecipe, plain, where=where)
    if judged and not recipe.data.validation and not recipe.data.hold_out:
        raise OptionError(
            f"{where}: nothing validates, so trials cannot be compared; give data.validation, or data.hold_out"
        )
    return recipe


def usage_of(dpath: Path) -> str:
    """The command that finds what an instruction means by the trained model of a run's folder."""
    return f'isotherm predict grounding PICTURE "INSTRUCTION" --run {dpath}'


def _same_form(training: GroundingSet, validation: GroundingSet) -> None:
    if len(validation) and (training.views, training.steps) != (validation.views, validation.steps):
        raise InputError(
            f"instructions to train on have {training.views} pictures and {training.steps} steps, those to validate {validation.views} and {validation.steps}; expected the same"
        )


def _check_texts(view: Any, *sets: GroundingSet) -> None:
    """Refuse words that the model's processor would stumble over in the middle of a training."""
    for record in itertools.chain(*sets):
        try:
            check_words(record.text, getattr(view, "marks", ()), what="text", example="say what to look for")
            check_length(len(view.vocabulary.encode(record.text)), view.model.config, view.name, what="text")
        except OptionError as error:
            raise InputError(f"{record.origin or record.name}: {error}") from error


def _two_texts(data: GroundingSet) -> tuple[str, str]:
    """Two instructions of the data that differ, in whose words the model will be asked."""
    first = data[0].text
    other = next((r.text for r in data if r.text != first), None)
    return PROBES if other is None else (first, other)


def _cached(
    recipe: GroundingRecipe,
    training: GroundingSet,
    validation: GroundingSet,
    side: int,
    dpath: Path,
    worker: Worker,
    skip_bad: bool,
    say: Say,
) -> tuple[CachedGrounding, CachedGrounding]:
    # augmentation looks around in what is kept, so it is larger; what is only judged is kept as it is shown
    sides = math.ceil(side * recipe.data.enlarged), side

    def both() -> tuple[CachedGrounding, CachedGrounding]:
        sources = [
            cache_grounding(part, dpath, side=s, skip_bad=skip_bad, say=say)
            for part, s in zip((training, validation), sides, strict=True)
        ]
        return sources[0], sources[1]

    if worker.world == 1:
        return both()
    if worker.first:  # one process decodes, then all read the same files
        both()
    worker.agree("cached")
    return both()


def _described(model: GroundingModel, recipe: GroundingRecipe, data: CachedGrounding, other: CachedGrounding) -> str:
    trained, whole = (
        sum(p.numel() for p in model.parameters() if p.requires_grad or not only) for only in (True, False)
    )
    how = (
        "frozen"
        if recipe.model.frozen
        else "trained whole"
        if recipe.model.lora is None
        else "trained by low-rank matrices"
    )
    change = model.instruction_change
    arrives = "" if change is None else f" (image states change by {change:.2g} of their size with the instruction)"
    return (
        f"{len(data)} instructions about {len(data.pictures)} pictures to train on, {len(other)} to validate; {model.view.name}, {how}, "
        f"{trained:,} of {whole:,} parameters; instruction: {model.conditioning}{arrives}"
    )


def _fingerprint(data: CachedGrounding) -> str:
    """What the data are: the same pictures, words and places, the same text."""
    digest = hashlib.sha256()
    for part in (data.truth.points, data.truth.state, data.truth.angle_rad, data.which, data.frame.to_source):
        digest.update(part.contiguous().numpy().tobytes())
    digest.update("\n".join(data.texts).encode())
    return f"{len(data)} instructions, {digest.hexdigest()[:16]}"


def _rgb(fpath: Path) -> Any:
    from isotherm.data.pictures import read_picture

    return read_picture(fpath).array
