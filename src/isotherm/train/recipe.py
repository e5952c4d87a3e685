"""Configurations from plain data (YAML, JSON) and back: strict, with the path of what is wrong."""

from __future__ import annotations

import dataclasses
import difflib
import os
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from isotherm import limits
from isotherm.errors import OptionError
from isotherm.untrusted.plain import content_of, reading

Config = TypeVar("Config")
LONGEST = limits.RECIPE_BYTES
"""Bytes of a recipe file: a longer one is something else."""


_adapter: Any = cache(TypeAdapter)
"""What checks a configuration's values; making it takes milliseconds, and a person may wait for a map meanwhile."""


def from_plain(config: type[Config], plain: Mapping[str, Any], *, where: str = "") -> Config:
    """A frozen configuration from nested dictionaries; lists become tuples, numbers are checked by the configuration
    itself.

    Args:
        where: what to call it in messages, such as the file's name.

    Raises:
        OptionError: a key that does not exist (the nearest one is named), or a value of a wrong type or outside of its
            range.

    Example:
        >>> from isotherm.train.schedule import Schedule
        >>> from_plain(Schedule, {"shape": "wsd", "warm_up": 10}).warm_up
        10
    """
    _known_keys(config, plain, where)
    try:
        return _adapter(config).validate_python(dict(plain))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(
            str(part)
            for part in first["loc"]
            if not str(part).startswith(("dataclass", "function", "tuple", "literal"))
        )
        raise OptionError(
            f"{_at(where, path)}: {first['msg'].removeprefix('Value error, ')}; given {first['input']!r}"
        ) from error
    except OptionError as error:
        raise OptionError(f"{where}: {error}" if where else str(error)) from error


class _StrictLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal names without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[str]()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:str" and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice", key.start_mark)
            seen.add(key.value if isinstance(key.value, str) else "")
        return super().construct_mapping(node, deep)


def read_recipe(fpath: str | os.PathLike[str], *, example: str = "") -> dict[str, Any]:
    """A YAML (or JSON) file as nested dictionaries; no tags, no aliases to itself, nothing run.

    Args:
        fpath: its path.
        example: a file of the kind that is expected, which the message about a missing one names; empty: none is.

    Raises:
        OptionError: it is missing, too long, no YAML, not a mapping, or has a name twice; with the line.
    """
    path = Path(fpath)
    try:
        text = content_of(path, most=LONGEST, error=OptionError)
    except FileNotFoundError as error:
        raise OptionError(
            f"{path} cannot be read ({error.strerror}); give the path of a recipe{f', such as {example}' if example else ''}"
        ) from error
    with reading(path, error=OptionError, advice="expected a recipe in YAML"):
        try:
            content = yaml.load(text.decode("utf-8-sig"), _StrictLoader)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{path}:{mark.line + 1}" if mark is not None else str(path)
            raise OptionError(f"{place}: no YAML ({getattr(error, 'problem', None) or error})") from error
    if not isinstance(content, dict):
        raise OptionError(f"{path} holds {type(content).__name__}; expected names with values, such as 'seed: 0'")
    return content


def _known_keys(config: Any, plain: Any, where: str) -> None:
    if not dataclasses.is_dataclass(config) or not isinstance(plain, Mapping):
        return
    hints = typing.get_type_hints(config)
    names = [f.name for f in dataclasses.fields(config)]
    for key, value in plain.items():
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"
            raise OptionError(f"{_at(where, str(key))} is not an option; {advice}")
        _known_inside(hints[key], value, _at(where, str(key)))


def _known_inside(hint: Any, value: Any, where: str) -> None:
    """The same for configurations inside of options and tuples of them."""
    if dataclasses.is_dataclass(hint):
        _known_keys(hint, value, where)
    elif isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        for part in typing.get_args(hint):
            if dataclasses.is_dataclass(part):
                _known_keys(part, value, where)
    elif typing.get_origin(hint) is tuple and isinstance(value, list | tuple):
        for i, one in enumerate(value):
            _known_inside(typing.get_args(hint)[0], one, f"{where}[{i}]")


def _at(where: str, path: str) -> str:
    return (
        f"{where}: {path}"
        if where and path and ":" not in where
        else f"{where}.{path}"
        if where and path
        else where or path
    )
