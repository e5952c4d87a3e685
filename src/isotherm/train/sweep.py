"""Many trainings of one recipe with other values: which ones, where they lie, and what came of them.

The folders of the trials are all the state there is. A sweep that was killed is started again: trials that are not
finished go on from their checkpoints, and the search and the stopping rule see the figures of all of them anew.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from isotherm.atomic import atomic_write
from isotherm.errors import InputError, OptionError
from isotherm.ops.names import known_word
from isotherm.runs.file import to_json
from isotherm.train.keypoint_recipe import set_at
from isotherm.train.recipe import from_plain, read_recipe
from isotherm.train.recipe_module import Better, RecipeModule, better_of, chosen_metric
from isotherm.train.run_folder import read_figures, validation_column
from isotherm.untrusted.plain import read_object

Values = dict[str, Any]
TRIAL = ".trial.json"
"""In every trial's folder: its values."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from low to high, evenly or evenly in their logarithm; whole ones alone where ``whole`` is set."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise OptionError(f"low is {self.low} and high {self.high}; expected low < high, and low above 0 for log")

    def at(self, share: float) -> float | int:
        """The number at a share of the way from low to high."""
        value = self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)
        return round(value) if self.whole else value


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Trials that are worse than most at the same step end early (asynchronous successive halving).

    Args:
        grace: validations that every trial has.
        factor: one in so many goes on at every rung.

    Source: Li et al., "A system for massively parallel hyperparameter tuning" (MLSys 2020), algorithm 2.
    """

    grace: int = 2
    factor: int = 3

    def __post_init__(self) -> None:
        if self.grace < 1 or self.factor < 2:
            raise OptionError(f"grace is {self.grace} and factor {self.factor}; expected at least 1, and at least 2")


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """A sweep.

    Args:
        recipe: the file of the recipe, relative to the sweep's.
        task: what kind of recipe that is, by the name of its module
            (:class:`isotherm.train.recipe_module.RecipeModule`): keypoints, grounding,
            anticipation, scenes, detector, tiny-vlm and others.
        values: path in the recipe, such as ``training.rate``, -> a list of values, or a range ({low, high, log, whole};
            not for a grid).
        search: 'grid' tries all combinations; 'random' draws ``trials`` of them; 'tpe' lets a tree-structured Parzen
            estimator choose.
        metric: of the validation; None: the first that the task has.
        guardrails: figures that the table shows beside the metric, of every trial's best validation; none: all.
        stop_early: ends bad trials, or None.
        at_once: trials at the same time; None: as many as there are processors for.
        cpus, gpus: for each.
        seed: of the search.
        seed_each: path of a seed in the recipe, such as ``training.seed``: every trial has one of its own there, which
            follows from its values alone; None: the recipe's, for all of them.
    """

    recipe: str
    task: str = "keypoints"
    values: Mapping[str, tuple[Any, ...] | Range]
    search: Literal["grid", "random", "tpe"] = "grid"
    trials: int = 12
    metric: str | None = None
    guardrails: tuple[str, ...] = ()
    stop_early: EarlyStopping | None = None
    at_once: int | None = None
    cpus: int = 1
    gpus: float = 0.0
    seed: int = 0
    seed_each: str | None = None

    def __post_init__(self) -> None:
        known_word(self.search, ("grid", "random", "tpe"), "search")
        if not self.values:
            raise OptionError("values is empty; give what to vary, such as training.rate: [1e-4, 1e-3]")
        for path, choice in self.values.items():
            if self.search == "grid" and isinstance(choice, Range):
                raise OptionError(f"{path} is a range; a grid needs a list of values")
            if not isinstance(choice, Range) and not choice:
                raise OptionError(f"{path} has no values")
        if self.trials < 1 or self.cpus < 1 or self.gpus < 0 or (self.at_once is not None and self.at_once < 1):
            raise OptionError(
                f"trials is {self.trials}, cpus {self.cpus}, gpus {self.gpus}, at_once {self.at_once}; expected at least 1, 1, 0 and 1"
            )

    def listed(self) -> list[Values] | None:
        """The values of every trial; None where they depend on what comes out."""
        if self.search == "tpe":
            return None
        if self.search == "grid":
            return [
                dict(zip(self.values, chosen, strict=True))
                for chosen in itertools.product(*(tuple(v) for v in self.values.values() if not isinstance(v, Range)))
            ]
        random = np.random.default_rng(self.seed)
        return [
            {
                path: c.at(float(random.uniform())) if isinstance(c, Range) else c[int(random.integers(len(c)))]
                for path, c in self.values.items()
            }
            for _ in range(self.trials)
        ]


@dataclass(frozen=True)
class Trial:
    """What came of one trial.

    Args:
        values: path -> value.
        dpath: its run folder.
        best: the best validation by the sweep's metric, NaN where there is none, and at which ``step``.
        figures: of that validation.
        status: 'finished', 'stopped early', 'unfinished', or 'failed: why'.
    """

    values: Values
    dpath: Path
    best: float
    step: int
    status: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """A sweep with everything that its trials need.

    Args:
        config: as its file says.
        recipe: as nested dictionaries.
        root: the folder that the recipe's paths start from.
        module: of the kind of recipe.
        metric: what trials are compared by.
    """

    config: SweepConfig
    recipe: Mapping[str, Any]
    root: Path
    module: RecipeModule
    metric: str

    @property
    def better(self) -> Better:
        """Whether less of the metric is better, or more."""
        return better_of(self.module, self.metric) or "less"


def read_sweep(fpath: Path, find: Callable[[str], RecipeModule]) -> Sweep:
    """A sweep from its file; every trial's recipe is checked.

    Args:
        find: the module of a kind of recipe, by name.

    Raises:
        OptionError: a file that is missing or wrong, or values that the recipe does not take.
    """
    plain = read_recipe(fpath, example="recipes/first_sweep.yaml")
    if isinstance(plain.get("values"), dict):
        plain["values"] = {path: _choice(choice, f"{fpath}: values.{path}") for path, choice in plain["values"].items()}
    config = from_plain(SweepConfig, plain, where=str(fpath))
    module = find(config.task)
    metric = chosen_metric(module, config.metric)
    for name in config.guardrails:
        chosen_metric(module, name)
    check = getattr(module, "check_metric", None)  # of modules that judge groups, whose names their data say
    recipe_fpath = fpath.parent / config.recipe
    recipe = read_recipe(recipe_fpath)
    tries = config.listed() or [
        {path: c.at(share) if isinstance(c, Range) else c[0] for path, c in config.values.items()}
        for share in (0.0, 1.0)
    ]
    for i, values in enumerate(tries):
        checked = module.recipe_from(
            with_values(recipe, values, seed_each=config.seed_each),
            where=f"{recipe_fpath} with {shown(values)}",
            judged=True,
        )
        for option, name in (("metric", metric), *(("guardrails", name) for name in config.guardrails)):
            if check is not None and i == 0:  # the files of the data are looked into once
                check(checked, name, option=f"{fpath}: {option}", root=recipe_fpath.parent)
    return Sweep(config, recipe, recipe_fpath.parent, module, metric)


def with_values(recipe: Mapping[str, Any], values: Values, *, seed_each: str | None = None) -> dict[str, Any]:
    """A trial's recipe; ``seed_each``: where it has a seed that follows from its values, or None."""
    plain: dict[str, Any] = json.loads(json.dumps(recipe))
    for path, value in values.items():
        set_at(plain, path, value)
    if seed_each is not None:
        set_at(plain, seed_each, int.from_bytes(hashlib.sha256(shown(values).encode()).digest()[:3], "big"))
    return plain


def shown(values: Values) -> str:
    """A trial's values, with the last parts of their paths, as in ``sigma=2, rate=0.001``."""
    return ", ".join(
        f"{path.rpartition('.')[2]}={value:.6g}" if isinstance(value, float) else f"{path.rpartition('.')[2]}={value}"
        for path, value in values.items()
    )


def trial_dpath(dpath: Path, values: Values) -> Path:
    """The folder of a trial: its values are its name, so that a sweep that is started again finds it."""
    return dpath / "trials" / re.sub(r"[^\w.=,+-]+", "_", shown(values).replace(", ", ","))


def history(dpath: Path, metric: str) -> list[tuple[int, float]]:
    """(step, value) of every validation that a trial has written."""
    name = validation_column(metric)
    rows = read_figures(dpath / "metrics.csv")
    return [(int(row["step"]), row[name]) for row in rows if name in row and "step" in row]


def trials_of(dpath: Path, metric: str, ended: Mapping[str, str], *, better: Better = "less") -> list[Trial]:
    """What the folders of a sweep's trials hold, the best first; ``ended``: name of a folder -> how it ended."""
    trials, sign = [], 1 if better == "less" else -1
    for folder in sorted((dpath / "trials").glob(f"*/{TRIAL}")):
        values, run = read_object(folder, advice="remove the trial's folder, and it is made again"), folder.parent
        past = history(run, metric)
        step, best = min(past, key=lambda at: sign * at[1], default=(0, math.nan))
        rows = [row for row in read_figures(run / "metrics.csv") if row.get("step") == step]
        figures = {
            key.removeprefix("validation "): value
            for row in rows
            for key, value in row.items()
            if key.startswith(("validation ", "val/"))
        }
        trials.append(Trial(values, run, best, step, ended.get(run.name, "unfinished"), figures))
    return sorted(trials, key=lambda t: (math.isnan(t.best), sign * t.best))


def keep_sweep(dpath: Path, config: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Write down what a folder's sweep is, or see that it is this one.

    Raises:
        OptionError: it holds another.
        InputError: it cannot be made.
    """
    content = json.loads(json.dumps(to_json({"sweep": config, "recipe": recipe})))
    # how much runs at the same time changes no trial
    content["sweep"] = {key: value for key, value in content["sweep"].items() if key not in ("at_once", "cpus", "gpus")}
    there = dpath / "sweep.json"
    try:
        (dpath / "trials").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {dpath} cannot be made ({error.strerror})") from error
    if there.is_file():
        before = read_object(there, advice="give another folder with --out")
        if not isinstance(before.get("sweep"), dict):
            raise InputError(f"{there} holds no sweep; give another folder with --out")
        # options that have come since have their defaults
        defaults = {
            f.name: f.default for f in fields(SweepConfig) if f.name in content["sweep"] and f.default is not MISSING
        }
        before["sweep"] = {**json.loads(json.dumps(defaults)), **before["sweep"]}
        if before != content:
            raise OptionError(
                f"{dpath} holds another sweep; give another folder with --out, or go on with the one in {there}"
            )
        return
    with atomic_write(there) as file:
        file.write(json.dumps(content, indent=1, allow_nan=False).encode())


def _choice(choice: Any, where: str) -> Any:
    if isinstance(choice, Mapping):
        return from_plain(Range, choice, where=where)
    if not isinstance(choice, Sequence) or isinstance(choice, str):
        raise OptionError(f"{where} is {choice!r}; expected a list of values, or {{low: 1e-4, high: 1e-2, log: true}}")
    return tuple(_as_number(v) for v in choice)


def _as_number(value: Any) -> Any:
    """YAML 1.1 reads 3e-4, without a point, as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
