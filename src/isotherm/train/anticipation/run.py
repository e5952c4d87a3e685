"""A whole run: clips read, model made and proved to get its gradients, trained, judged, and kept in one folder.

``recipe.json`` decides the numbers, ``run.json`` says when and with which versions it was started, ``metrics.csv`` has
the figures, ``checkpoint.pt`` is gone on from, ``model.safetensors`` is the best probe of the last validation and
``best.safetensors`` that of the best one, ``evaluation.json`` is from the best.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from isotherm.atomic import atomic_write
from isotherm.errors import InputError, OptionError
from isotherm.gaze.model import AnticipationModel
from isotherm.progress import Say, silent
from isotherm.runs.file import to_json
from isotherm.train.anticipation.build import (
    TrainedAnticipation,
    make_anticipation,
    open_anticipation,
    save_anticipation,
)
from isotherm.train.anticipation.clip_data import HEADS, ClipData
from isotherm.train.anticipation.features import with_features
from isotherm.train.anticipation.gaze_use import GazeUse
from isotherm.train.anticipation.proof import prove_gradients
from isotherm.train.anticipation.read import read_clips
from isotherm.train.anticipation.recipe import AnticipationRecipe
from isotherm.train.anticipation.task import AnticipationTask, AnticipationTraining
from isotherm.train.anticipation.validate import Answers, answers_of
from isotherm.train.anticipation.videos import VideoClips
from isotherm.train.loop import run_loop
from isotherm.train.older_recipe import by_defaults
from isotherm.train.recipe import from_plain
from isotherm.train.recipe_module import Better, OnValidation
from isotherm.train.run_folder import RunFolder
from isotherm.train.started import agreed_folder, started_run
from isotherm.train.worker import Worker

METRICS: Mapping[str, Better] = {
    "action_recall": "more",
    "action_accuracy": "more",
    "verb_recall": "more",
    "noun_recall": "more",
    "verb_accuracy": "more",
    "noun_accuracy": "more",
}
"""As :class:`isotherm.train.recipe_module.RecipeModule` has it, which this module fulfils."""
LAST, BEST, EVALUATION = "model.safetensors", "best.safetensors", "evaluation.json"
PASSES = 2
"""A training that asks for every clip more often keeps all frames that it may show (:class:`VideoClips`)."""


def train_run(
    recipe: AnticipationRecipe,
    dpath: Path | Callable[[], Path],
    *,
    root: Path,
    cache_dpath: Path | None = None,
    command: str = "",
    skip_bad: bool = False,
    worker: Worker | None = None,
    on_validation: OnValidation = lambda step, figures: None,
    say: Say = silent,
) -> TrainedAnticipation:
    """Train what a recipe says in a folder, or go on with it; a run that is finished is opened and left as it is.

    Args:
        recipe: everything that decides the numbers.
        dpath: the run's folder, or a function that makes one, called when the data have been read.
        root: where relative paths of the data start.
        cache_dpath: for features of frozen encoders; by default the folder ``.cache`` beside the run.
        command: what is noted as having made the run.
        skip_bad: leave out actions and videos that cannot be read.
        worker: this process, if several share the work.
        on_validation: called with the step and the figures of every validation.
        say: is told how it goes.

    Returns:
        The best probe by validation, or the last where nothing validates.

    Raises:
        As :func:`isotherm.train.loop.run_loop` and the readers of the data.
    """
    worker = recipe.devices.worker() if worker is None else worker
    announce = say if worker.first else silent
    training, validation = read_clips(recipe.data, root=root, skip_bad=skip_bad, say=announce)
    if not len(training):
        raise InputError("no actions are left to train on; look at what was skipped")
    # of tables, the ids of the classes: words alone need not be unique
    ids = {"classes": json.loads(training.kept.to_json())} if isinstance(training, VideoClips) else {}
    config = in_steps(recipe.training, len(training))
    model = make_anticipation(recipe.model, training.classes, rate_hz=training.rate_hz, probes=len(config.grid))
    dpath = agreed_folder(dpath, "anticipation", worker=worker, say=announce)
    cache = dpath.parent / ".cache" if cache_dpath is None else cache_dpath
    model.to(worker.device)

    def prepared(data: ClipData) -> ClipData:
        return with_features(
            data, model, cache, kept=recipe.data.features, blind=config.gaze.blind, device=worker.device, say=announce
        )

    if isinstance(training, VideoClips) and config.steps * config.batch > PASSES * len(training):
        training.keep_windows(cache / "frames")
    training, validation = prepared(training), None if validation is None else prepared(validation)
    task = AnticipationTask(config, model, training)
    prove_gradients(task)
    folder = RunFolder(dpath, recipe.deciding(), complete=by_defaults(AnticipationRecipe))
    announce(described(model, recipe, training, validation))
    bare = TrainedAnticipation(
        model=model,
        choice=recipe.model,
        classes=training.classes,
        rate_hz=training.rate_hz,
        frames=training.frames,
        facts={"training": asdict(recipe.training)} | ids,
    )

    def told_training(probe: int, step: int) -> None:
        figures = task.seen.taken(probe, k=recipe.recall_k)
        if figures:
            folder.log({"step": step, **{f"training {name}": value for name, value in figures.items()}})

    def kept(averaged: nn.Module, step: int) -> dict[str, float]:
        assert isinstance(averaged, AnticipationModel)
        if validation is None:
            told_training(0, step)
            save_anticipation(replace(bare, model=with_probe(averaged, 0)), dpath / LAST)
            return {}
        answers = answers_of(averaged, validation, GazeUse(blind=config.gaze.blind), device=worker.device)
        best, figures = best_probe(answers, recipe.recall_k)
        told_training(best, step)
        facts = {**bare.facts, "probe": best, **asdict(config.grid[best])}
        save_anticipation(replace(bare, model=with_probe(averaged, best), facts=facts), dpath / LAST)
        folder.keep_best("action_recall", figures["action_recall"], step=step, last=LAST, best=BEST, better="more")
        announce(f"validation at step {step}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))
        on_validation(step, figures)
        return {**figures, "probe": best, "score": figures["action_recall"]}

    with started_run(
        folder,
        "anticipation",
        tracking=recipe.tracking,
        recipe=recipe.deciding(),
        worker=worker,
        root=root,
        command=command,
    ):
        run_loop(config, task, folder, worker=worker, validate=kept, say=say)
        if training.slow:
            announce(f"the model waited {task.waited_s:.1f} s for clips, which were loaded beside it")
        best = open_anticipation(dpath / (BEST if (dpath / BEST).is_file() else LAST))
        if worker.first and validation is not None:
            answers = answers_of(best.model, validation, GazeUse(blind=config.gaze.blind))
            _, figures = best_probe(answers, recipe.recall_k)
            with atomic_write(dpath / EVALUATION) as file:
                facts = {name: value for name, value in best.facts.items() if name != "classes"}
                file.write(json.dumps(to_json({**facts, **figures}), indent=1, allow_nan=False).encode())
        if worker.first:
            folder.write_parquet()
    return best


def in_steps(config: AnticipationTraining, clips: int) -> AnticipationTraining:
    """The same with epochs counted in steps.

    Args:
        config: of a recipe.
        clips: to train on.
    """
    if config.keep_epochs is not None:
        every = max(1, round(config.keep_epochs * clips / config.batch))
        config = replace(config, keep_every=every, keep_epochs=None)
    if config.epochs is None:
        return config
    return replace(config, steps=max(1, math.ceil(config.epochs * clips / config.batch)), epochs=None)


def best_probe(answers: Answers, k: int) -> tuple[int, dict[str, float]]:
    """(the probe with the best recall of actions, the first of equals; its figures by the names of :data:`METRICS`).

    Args:
        answers: of all probes.
        k: of the recall.
    """
    each = [short(answers.figures(p, k=k), k) for p in range(len(answers.logits["action"]))]
    best = max(range(len(each)), key=lambda p: each[p]["action_recall"])
    return best, each[best]


def short(figures: Mapping[str, float], k: int) -> dict[str, float]:
    """Figures without the number of answers in their names.

    Args:
        figures: of :meth:`isotherm.train.anticipation.validate.Answers.figures`.
        k: of the recall.
    """
    named = {f"{head}_recall": figures[f"{head}_recall_{k}"] for head in reversed(HEADS)}
    rest = {name: value for name, value in figures.items() if name.endswith(("_accuracy", "_part"))}
    return {**named, **rest}


def with_probe(model: AnticipationModel, probe: int) -> AnticipationModel:
    """The same model with one of its probes alone; all weights are shared, none is copied.

    Args:
        model: with several.
        probe: its number.
    """
    one = copy.copy(model)
    one._modules = dict(model._modules)
    one.probes = copy.copy(model.probes)
    one.probes._modules = {"probes": nn.ModuleList([model.probes[probe]])}
    return one


def described(
    model: AnticipationModel, recipe: AnticipationRecipe, training: ClipData, validation: ClipData | None
) -> str:
    """A run in a line.

    Args:
        model: before its training.
        recipe: of it.
        training, validation: its clips.
    """
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    held = "nothing validates" if validation is None else f"{len(validation)} to validate on"
    fusion = "without gaze" if model.fusion is None else f"gaze by {model.fusion.config.name}"
    return (
        f"{len(training)} clips of {training.frames} frames, {held}; {len(training.classes['action'])} actions; "
        f"{recipe.model.backbone}, {fusion}; {trained:,} of {total:,} parameters are trained"
    )


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> AnticipationRecipe:
    """The checked recipe of nested dictionaries.

    Args:
        plain: as YAML has them.
        where: what to call it in messages.
        judged: refuse a recipe that nothing validates.

    Raises:
        OptionError: an option that does not exist, a value out of range, or nothing that validates.
    """
    recipe = from_plain(AnticipationRecipe, plain, where=where)
    if judged and not recipe.data.validation:
        raise OptionError(f"{where}: nothing validates, so trials cannot be compared; give data.validation")
    return recipe


def usage_of(dpath: Path) -> str:
    """The command that uses the trained model of a run's folder.

    Args:
        dpath: the folder.
    """
    return f"isotherm explain CLIP --model tiny-anticipation --weights {dpath / BEST}"
