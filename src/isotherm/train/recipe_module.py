"""What the module of a kind of recipe has to offer, so that a sweep can train it: any module that has these four names
is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from isotherm.ops.names import known_word
from isotherm.progress import Say

Better = Literal["less", "more"]
OnValidation = Callable[[int, Mapping[str, float]], None]
"""Called with the step and the figures of every validation."""


@runtime_checkable
class RecipeModule(Protocol):
    """A module such as :mod:`isotherm.train.keypoint_run`.

    A run that is finished has the file ``evaluation.json`` in its folder, and ``metrics.csv`` has its validations.
    """

    @property
    def METRICS(self) -> Mapping[str, Better]:
        """Figures of a validation, and whether less of them is better or more; the first judges a run."""

    def recipe_from(self, plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> Any:
        """The checked recipe of nested dictionaries, as YAML has them.

        Args:
            where: what to call it in messages.
            judged: refuse a recipe of which no validation would come.

        Raises:
            OptionError: an option that does not exist, a value out of range, or nothing that validates.
        """

    def train_run(
        self,
        recipe: Any,
        dpath: Path,
        *,
        root: Path,
        cache_dpath: Path | None = None,
        command: str = "",
        skip_bad: bool = False,
        on_validation: OnValidation = ...,
        say: Say = ...,
    ) -> Any:
        """Train in a folder, or go on with what is there; a run that is finished is left as it is.

        Args:
            root: where relative paths of the recipe start.
            cache_dpath: for what several runs on the same data share.
            command: what is noted as having made the run.
            skip_bad: leave out pictures that cannot be read.
        """

    def usage_of(self, dpath: Path) -> str:
        """The command that uses the trained model of a run's folder."""


def better_of(module: object, metric: str) -> Better | None:
    """Whether less of a figure is better, or more; None where the module's validations have no such figure.

    A module that judges groups of pictures has ``GROUP_METRICS`` beside ``METRICS``: figures, or patterns of them such
    as ``*_line_err_cm``, that it has of all pictures and as ``val/<group>/<figure>`` of every group.
    """
    metrics: Mapping[str, Better] = getattr(module, "METRICS", {})
    if metric in metrics:
        return metrics[metric]
    further: Mapping[str, Better] = getattr(module, "GROUP_METRICS", {})
    *group, figure = metric.split("/")
    if group and (len(group) != 2 or group[0] != "val" or not group[1]):
        return None
    return next((better for pattern, better in further.items() if fnmatchcase(figure, pattern)), None)


def chosen_metric(module: RecipeModule, name: str | None) -> str:
    """The figure that trials are compared by; None: the first.

    Raises:
        OptionError: a validation has no such figure.
    """
    names = tuple(module.METRICS)
    if name is not None and better_of(module, name) is not None:
        return name
    return names[0] if name is None else known_word(name, names, "metric")
