"""Configurations in model folders, read as plain data and checked before a package builds anything from them.

A ``config.json`` looks like numbers, but parts of it are handed on as arguments: transformers calls
``timm.create_model(architecture, **model_args)``, and ``checkpoint_path`` among them opens any file; a ``backbone``
may be another folder whose own configuration nobody has looked at; an attention implementation may be a kernel that is
downloaded and run. So the file is read here first. Arguments that are handed on must be on a list of harmless ones, and
values must be numbers, truth values and short words that name no file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isotherm import limits
from isotherm.errors import AdapterError, WeightsError
from isotherm.models.weights.config_words import (
    ALLOWED,
    CODE,
    FILE_NAME,
    FILES,
    HANDED_ON,
    IMPLEMENTATIONS,
    LAYERS,
    OWN_IMPLEMENTATIONS,
    PACKAGES,
    TEXT,
    WORD,
)
from isotherm.models.weights.permission import Say, authorise, to_stderr

MAX_BYTES = limits.NAMES_BYTES
"""Largest configuration that is read; one with the names of 21,000 classes has two million."""
MAX_DEPTH = limits.CONFIG_DEPTH


def read_checked(
    fpath: Path,
    *,
    allow_code: str | os.PathLike[str] | None = None,
    say: Say = to_stderr,
    check: Callable[[Any, object], None] | None = None,
) -> dict[str, Any]:
    """A configuration as plain data, checked, or as it is where the user allowed the file.

    Args:
        fpath: the .json file.
        allow_code: a file that may do as it likes, as the user said.
        say: where the line with the SHA-256 goes when ``allow_code`` names this file.
        check: what raises RefusedConfigError; :func:`check_config` unless given.

    Raises:
        WeightsError: it cannot be read as JSON.
        AdapterError: something in it could open files or run code; the message says what, where, what was expected and
            how to allow it.
    """
    content = read_bytes(fpath)
    try:
        config = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"the configuration {fpath} cannot be read as JSON ({type(error).__name__}: {str(error)[:200]}); copy or download it again"
        ) from error
    if not isinstance(config, dict):
        raise WeightsError(f"the configuration {fpath} holds {_shown(config)}; expected keys with values")
    try:
        (check or check_config)(config, fpath)
    except RefusedConfigError as refused:
        if not authorise(fpath, hashlib.sha256(content).hexdigest(), allow_code, say):
            what = f"{refused}. It would reach code that opens files or runs programs, so nothing was built. If you know who made the model"
            raise AdapterError(
                f'{what}, pass allow_code="{fpath}"', command_line=f"{what}, pass --allow-code {fpath}"
            ) from refused
    return config


def read_bytes(fpath: Path) -> bytes:
    """What is in a configuration file; WeightsError where it cannot be read or is far too long."""
    try:
        with fpath.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"the configuration {fpath} cannot be read ({getattr(error, 'strerror', None) or error}); check the path"
        ) from error
    if len(content) > MAX_BYTES:
        raise WeightsError(
            f"the configuration {fpath} has more than {MAX_BYTES} bytes, which no model needs; copy or download it again"
        )
    return content


class RefusedConfigError(AdapterError):
    """A configuration holds something that could open files or run code."""


def check_config(config: Any, named: object) -> None:
    """Raise unless a configuration, all that is nested in it included, opens nothing and runs nothing.

    Args:
        config: as plain data.
        named: the file, for messages.

    Raises:
        RefusedConfigError: the first thing that does; the message says what, where, and what was expected.

    Example:
        >>> check_config({"model_type": "vit", "hidden_size": 32, "id2label": {"0": "n/a"}}, "config.json")
        >>> check_config({"backbone": {"model_args": {"checkpoint_path": "x"}}}, "config.json")
        Traceback (most recent call last):
        isotherm.models.weights.configs.RefusedConfigError: config.json has backbone.model_args.checkpoint_path ...
    """
    _check_value(config, "", named, handed=False, depth=0)


def check_settings(settings: Any, named: object) -> None:
    """Raise where the settings of a processor, a tokeniser or of generation name code or hand arguments on.

    Their texts are tokens and templates, which may look like paths; nothing opens them.
    """
    _check_settings(settings, "", named, 0)


def _check_settings(value: Any, where: str, named: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _refused(named, where, value, f"at most {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key, inner in value.items():
            place = f"{where}.{key[:100]}".lstrip(".")
            if key in CODE | PACKAGES.keys() | {"init_inputs", "model_args", "pretrained_cfg"} and inner:
                _check_entry(key, inner, place, named, handed=key == "init_inputs", depth=depth)
            else:
                _check_settings(inner, place, named, depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_settings(inner, f"{where}[{number}]", named, depth + 1)


def check_adapter(settings: Any, named: object) -> None:
    """Raise: the settings of an adapter name modules to import and another model to open."""
    raise RefusedConfigError(
        f"{named} is an adapter's (it holds {_shown(settings)}); expected a model without one: merge it and save the model again"
    )


def check_index(fpath: Path) -> None:
    """Raise AdapterError where an index of weights names files outside of its folder."""
    try:
        names = set(json.loads(read_bytes(fpath))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"the index of weights {fpath} cannot be read ({type(error).__name__}: {str(error)[:200]}); copy or download it again"
        ) from error
    for name in names:
        if not is_name_inside(name):
            raise AdapterError(
                f"the index of weights {fpath} names {_shown(name)}; expected the name of a file in the same folder. Copy the files there, and correct the index"
            )
        shard = fpath.parent / name
        if shard.exists() and not shard.is_file():  # a pipe would keep us waiting for ever
            raise WeightsError(
                f"the index of weights {fpath} names {_shown(name)}, which is no regular file; copy or download it again"
            )


def _check_value(value: Any, where: str, named: object, *, handed: bool, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _refused(named, where, value, f"at most {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_entry(key, inner, f"{where}.{key[:100]}".lstrip("."), named, handed=handed, depth=depth)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_value(inner, f"{where}[{number}]", named, handed=handed, depth=depth + 1)
    elif isinstance(value, str) and not _is_word(value):
        raise _refused(named, where, value, "a number or a short word that names no file, folder or address")


def _check_entry(key: str, value: Any, where: str, named: object, *, handed: bool, depth: int) -> None:
    if key in CODE and value:
        raise _refused(
            named,
            where,
            value,
            "none: Python code beside the weights would have to be run, and isotherm never does that",
        )
    if key in PACKAGES and value:
        raise _refused(
            named, where, value, f"none: {PACKAGES[key]} are another package's work, with arguments of its own"
        )
    if key in IMPLEMENTATIONS:
        kinds = value.values() if isinstance(value, dict) else (value,)
        if not all(kind is None or (isinstance(kind, str) and kind in OWN_IMPLEMENTATIONS) for kind in kinds):
            raise _refused(
                named, where, value, f"one of {', '.join(sorted(OWN_IMPLEMENTATIONS))}; others may be fetched and run"
            )
    elif key == "transformers_weights":
        if value is not None and not is_name_inside(value):
            raise _refused(named, where, value, "the name of a file in the model's own folder")
    elif key in TEXT or key.endswith(("_token", "_tokens")):
        if not _is_text(value, depth):
            raise _refused(named, where, value, "texts")
    elif FILES.search(key.lower()) and _holds_text(value, depth):
        raise _refused(named, where, value, "none: a model's files are those of its own folder")
    elif handed and key not in ALLOWED:
        raise _refused(
            named, where, value, "an argument that shapes the network, such as img_size, depth, embed_dim or drop_rate"
        )
    elif LAYERS.fullmatch(key) and _is_above(value, limits.CONFIG_LAYERS):
        raise _refused(named, where, value, f"at most {limits.CONFIG_LAYERS} layers")
    elif key == "custom_load" and value:
        raise _refused(named, where, value, "false: weights are read as plain tensors")
    else:
        _check_value(value, where, named, handed=handed or HANDED_ON.fullmatch(key) is not None, depth=depth + 1)


def _is_above(value: Any, most: int) -> bool:
    """Whether a number, or one in a list, is larger."""
    return any(isinstance(one, int | float) and one > most for one in (value if isinstance(value, list) else [value]))


def is_name_inside(value: Any) -> bool:
    """True for the name of a file in the folder itself: no path leads out of it."""
    return isinstance(value, str) and re.fullmatch(r"[\w\-][\w.\- ]{0,200}", value) is not None


def _is_word(value: str) -> bool:
    return (
        WORD.fullmatch(value) is not None
        and ".." not in value
        and not value.startswith(".")
        and FILE_NAME.search(value) is None
    )


def _is_text(value: Any, depth: int) -> bool:
    """True for texts, numbers, and lists and mappings of those."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, dict):
        return all(_is_text(v, depth + 1) for v in value.values())
    if isinstance(value, list):
        return all(_is_text(v, depth + 1) for v in value)
    return value is None or isinstance(value, str | int | float)


def _holds_text(value: Any, depth: int) -> bool:
    """True where there is a text that is not empty in a value, or something nested too deep to look at."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return depth > MAX_DEPTH or any(_holds_text(v, depth + 1) for v in inner)
    return isinstance(value, str) and bool(value.strip())


def _refused(named: object, where: str, value: Any, expected: str) -> RefusedConfigError:
    return RefusedConfigError(f"{named} has {where} {_shown(value)}; expected {expected}")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        text = "{" + ", ".join(repr(k) for k in list(value)[:5]) + (", ...}" if len(value) > 5 else "}")
    elif isinstance(value, list):
        text = f"a list of {len(value)}"
    else:
        text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
