"""Recipes that an earlier version has written down: completed by the options that came since, and compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, runtime_checkable

from isotherm.errors import OptionError
from isotherm.runs.file import to_json
from isotherm.train.recipe import from_plain

Complete = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A recipe as it was written down -> the same with every option that there is now."""
LONGEST = 40
"""Characters of a value in a message."""
MOST = 3
"""Options that a message names."""


@runtime_checkable
class Deciding(Protocol):
    """A recipe: a frozen dataclass that says which of its parts decide the numbers."""

    def deciding(self) -> dict[str, Any]: ...


def by_defaults(kind: type[Deciding]) -> Complete:
    """The function that completes recipes of a kind: what was written down stays, what has come since has its default.

    The default of a new option must be what was done before there was that option, which is why it can be taken here.
    """
    return partial(_completed, kind)


def _completed(kind: type[Deciding], plain: Mapping[str, Any]) -> dict[str, Any]:
    """Raises:
    OptionError: an option that there is no more, or a value that is not taken any more.
    """
    names = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    whole = from_plain(kind, {key: value for key, value in plain.items() if key in names}, where="recipe.json")
    return {**plain, **whole.deciding()}


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Where two recipes differ, option by option, with both values.

    Example:
        >>> differences({"training": {"rate": 0.1, "seed": 0}}, {"training": {"rate": 0.2, "seed": 0}})
        ['training.rate (0.1 there, 0.2 here)']
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = list(dict.fromkeys([*before, *after]))
        return [
            line
            for key in keys
            if before.get(key, _NONE) != after.get(key, _NONE)
            for line in differences(before.get(key, _NONE), after.get(key, _NONE), f"{path}.{key}" if path else key)
        ]
    return [f"{path} ({_shown(before)} there, {_shown(after)} here)"]


def shortened(lines: list[str]) -> str:
    """The first of them in one text, with how many more there are."""
    more = f" and {len(lines) - MOST} more" if len(lines) > MOST else ""
    return ", ".join(lines[:MOST]) + more


def refused(where: object, error: OptionError) -> OptionError:
    """The error for a run of an earlier version that this one cannot go on with."""
    return OptionError(
        f"{where} holds a run of another version of isotherm, which cannot be gone on with: {error}; choose another folder"
    )


class _Nothing:
    """What stands for an option that a recipe does not have."""


_NONE = _Nothing()


def _shown(value: Any) -> str:
    if value is _NONE:
        return "nothing"
    text = str(to_json(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
