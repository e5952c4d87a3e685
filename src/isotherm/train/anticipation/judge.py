"""Judging the best model of a run on a recipe's validation, without training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from isotherm.atomic import atomic_write
from isotherm.errors import InputError, OptionError
from isotherm.progress import Say, silent
from isotherm.runs.file import RunFile, ending, to_json
from isotherm.train.anticipation.build import open_anticipation
from isotherm.train.anticipation.gaze_use import GazeUse
from isotherm.train.anticipation.read import read_judged
from isotherm.train.anticipation.recipe import AnticipationRecipe
from isotherm.train.anticipation.run import BEST, LAST, best_probe
from isotherm.train.anticipation.validate import answers_of

JUDGED = "judged"


def judge_run(
    recipe: AnticipationRecipe, dpath: Path, *, root: Path, command: str = "", skip_bad: bool = False, say: Say = silent
) -> dict[str, float]:
    """The figures of a run's best model, which are written beside it and told to the tracker.

    Args:
        recipe: whose validation is asked.
        dpath: of the run.
        root: where relative paths of the data start.
        command: what is noted as having asked for it.
        skip_bad: leave out actions and videos that cannot be read.
        say: is told how it goes.

    Returns:
        The figures, by the names of :data:`isotherm.train.anticipation.run.METRICS`.

    Raises:
        InputError: there is no model.
        OptionError: nothing validates.
    """
    fpath = next((dpath / name for name in (BEST, LAST) if (dpath / name).is_file()), None)
    if fpath is None:
        raise InputError(
            f"{dpath} holds no trained model ({BEST}), so there is nothing to judge; train one, or give its folder with --out"
        )
    if not recipe.data.validation:
        raise OptionError("nothing validates; give data.validation")
    worker = recipe.devices.worker()
    judged = dpath / JUDGED
    judged.mkdir(exist_ok=True)
    file = RunFile(judged, "judge", command=command, recipe="anticipation")
    status = "finished"
    try:
        with recipe.tracking.tracker(judged, recipe.deciding(), job="eval") as tracker:
            trained = open_anticipation(fpath)
            data = read_judged(recipe.data, trained.classes, root=root, skip_bad=skip_bad, say=say)
            use = GazeUse(**{**asdict(recipe.training.gaze), "dropout": 0.0})
            answers = answers_of(trained.model.to(worker.device), data, use, device=worker.device)
            _, figures = best_probe(answers, recipe.recall_k)
            tracker.log({"step": 0, **{f"validation {name}": value for name, value in figures.items()}})
            with atomic_write(judged / "evaluation.json") as out:
                out.write(json.dumps(to_json({**trained.facts, **figures}), indent=1, allow_nan=False).encode())
            say(f"{fpath}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    except BaseException as error:
        status = ending(type(error), error)
        raise
    finally:
        file.end(status)
    return figures
