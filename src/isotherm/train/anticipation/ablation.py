"""An ablation: every arm trained with every seed, each judged under several conditions of gaze, with one table.

Arms are compared clip by clip: what counts is the difference of two arms on the same clip with the same seed, and its
interval resamples clips and, within them, seeds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.errors import InputError, OptionError
from isotherm.metrics.intervals import Interval, bootstrap_answers, bootstrap_nested
from isotherm.progress import Say, silent
from isotherm.runs.file import to_json
from isotherm.train.anticipation.arms import arm_recipe, folder_name
from isotherm.train.anticipation.build import TrainedAnticipation
from isotherm.train.anticipation.clip_data import ClipData
from isotherm.train.anticipation.gaze_use import Condition, GazeUse
from isotherm.train.anticipation.read import read_judged
from isotherm.train.anticipation.recipe import AnticipationRecipe
from isotherm.train.anticipation.run import recipe_from, train_run
from isotherm.train.anticipation.validate import answers_of

ABLATION = "ablation.json"
CACHE = ".cache"
"""Features and frames, which are named by what they hold, for all arms and seeds."""
WHOLE = "all"


@dataclass(frozen=True, eq=False)
class ArmResult:
    """What an arm reached.

    Args:
        arm: its word.
        condition: of gaze when it was judged.
        right: (n clips, k seeds) whether the first answer was the action.
        parts: (n) numbers into ``part_names``.
        part_names: of the parts.
    """

    arm: str
    condition: Condition
    right: Float[Tensor, "n k"]
    parts: Tensor
    part_names: Sequence[str]

    def accuracy(self, part: str = WHOLE) -> Interval:
        """Of a part, or of all clips, with its interval over clips and seeds; without one of fewer than three clips.

        Args:
            part: its name.
        """
        return bootstrap_answers(self.rows(part), draws=500)

    def rows(self, part: str) -> Float[Tensor, "m k"]:
        """Of the clips of a part.

        Args:
            part: its name, or 'all'.
        """
        return self.right if part == WHOLE else self.right[self.parts == list(self.part_names).index(part)]

    def seeds(self, part: str = WHOLE) -> list[float]:
        """The accuracy of every seed.

        Args:
            part: its name.
        """
        return self.rows(part).mean(0).tolist()


def difference(a: ArmResult, b: ArmResult, part: str = WHOLE) -> Interval:
    """How much more often one arm is right than another, on the same clips with the same seeds.

    Args:
        a, b: of the same ablation.
        part: of the clips.
    """
    return bootstrap_nested(a.rows(part) - b.rows(part), draws=500)


def run_ablation(
    plain: Mapping[str, Any],
    arms: Sequence[str],
    seeds: Sequence[int],
    dpath: Path,
    *,
    root: Path,
    command: str = "",
    skip_bad: bool = False,
    say: Say = silent,
) -> list[ArmResult]:
    """Train and judge all arms, or go on with an ablation.

    Args:
        plain: the recipe as YAML has it.
        arms: by their words.
        seeds: of each.
        dpath: for a folder per arm and seed.
        root: where relative paths of the recipe start.
        command: what is noted as having made the runs.
        skip_bad: leave out what cannot be read.
        say: is told how far it is.

    Returns:
        Of every arm what it reached under its own condition and, if it takes gaze, under the others.

    Raises:
        OptionError: no arms or seeds, one twice, or what a recipe refuses.
        InputError: the gaze of an arm ``source:PATH`` is nowhere; else the arm would be one without gaze.
    """
    if not arms or not seeds or len(set(arms)) < len(arms) or len(set(seeds)) < len(seeds):
        raise OptionError(
            f"the arms are {', '.join(arms)} and the seeds {list(seeds)}; expected at least one of each, each once"
        )
    for arm in arms:
        _expect_source(arm, root)
    recipes = {
        arm: [recipe_from(arm_recipe(plain, arm, seed=s), where=arm, judged=True) for s in seeds] for arm in arms
    }
    results = []
    for a, arm in enumerate(arms):
        trained = []
        for s, recipe in zip(seeds, recipes[arm], strict=True):
            say(f"arm {a + 1} of {len(arms)}, {arm}, seed {s}")
            where = dpath / folder_name(arm) / f"seed-{s}"
            run = train_run(
                recipe, where, root=root, cache_dpath=dpath / CACHE, command=command, skip_bad=skip_bad, say=say
            )
            trained.append(run)
        data = read_judged(recipes[arm][0].data, trained[0].classes, root=root, skip_bad=skip_bad, say=say)
        results += judged(arm, recipes[arm][0], trained, data)
        write_ablation(results, seeds, dpath / ABLATION)
    return results


def _expect_source(arm: str, root: Path) -> None:
    word, _, value = arm.partition(":")
    if word != "source" or not value:
        return
    named = Path(value.partition("{")[0] + "x").parent if "{" in value else Path(value)
    if not (root / named).is_dir():
        raise InputError(
            f"the arm {arm!r} takes gaze from {root / named}, which is no folder; expected one with a recording for each video, or a path with {{video}} in it, relative to the recipe"
        )


def judged(
    arm: str, recipe: AnticipationRecipe, trained: Sequence[TrainedAnticipation], data: ClipData
) -> list[ArmResult]:
    """What the models of an arm reach on a set, under its own condition first.

    Args:
        arm: its word.
        recipe: of its first seed.
        trained: a model per seed.
        data: the clips.
    """
    own = recipe.training.gaze.condition
    conditions: Sequence[Condition] = (
        (own,) if recipe.model.blind else tuple(dict.fromkeys((own, *get_args(Condition))))
    )
    results = []
    for condition in conditions:
        use = GazeUse(condition=condition, shift=recipe.training.gaze.shift, blind=recipe.training.gaze.blind)
        answers = [answers_of(one.model, data, use) for one in trained]
        right = torch.stack([a.right().double() for a in answers], dim=1)
        results.append(ArmResult(arm, condition, right, data.parts, data.part_names))
    return results


def write_ablation(results: Sequence[ArmResult], seeds: Sequence[int], fpath: Path) -> None:
    """The figures as JSON, whole or not at all.

    Args:
        results: so far.
        seeds: of every arm.
        fpath: of the file.
    """
    rows = [
        {
            "arm": r.arm,
            "condition": r.condition,
            **{part: _plain(r.accuracy(part)) | {"seeds": r.seeds(part)} for part in parts_of(r)},
        }
        for r in results
    ]
    with atomic_write(fpath) as file:
        file.write(json.dumps(to_json({"seeds": list(seeds), "rows": rows}), indent=1, allow_nan=False).encode())


def _plain(value: Interval) -> dict[str, float | None]:
    """As JSON can hold it: no interval is null."""
    ends = (value.low, value.high) if value.known else (None, None)
    return {"mean": value.mean, "low": ends[0], "high": ends[1]}


def parts_of(result: ArmResult) -> list[str]:
    """The names that its figures are given for: all clips, and every part where there are several.

    Args:
        result: of an arm.
    """
    there = [name for i, name in enumerate(result.part_names) if bool((result.parts == i).any())]
    return [WHOLE, *(there if len(result.part_names) > 1 else [])]


def table_rows(results: Sequence[ArmResult]) -> tuple[list[str], list[list[str]]]:
    """(heads, rows) of a table of accuracies in per cent with their intervals.

    Args:
        results: of an ablation.
    """
    parts = parts_of(results[0])
    heads = ["arm", "gaze when judged", *parts]
    rows = [[r.arm, r.condition, *(r.accuracy(part).per_cent() for part in parts)] for r in results]
    return heads, rows
