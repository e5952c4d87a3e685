"""Code that the user names: where it is looked for, and how it is imported."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isotherm.errors import OptionError
from isotherm.ops.names import near_names


def search_path() -> list[str]:
    """Where modules are looked for: where Python does, and last in the working folder, which a console script leaves
    out.
    """
    here = str(Path.cwd())
    return [*sys.path, *([] if {"", here} & set(sys.path) else [here])]


@contextmanager
def with_working_folder() -> Iterator[None]:
    """Let Python look into the working folder as well, for the length of an import."""
    before = list(sys.path)
    sys.path[:] = search_path()
    try:
        yield
    finally:
        sys.path[:] = before


def can_be_found(package: str) -> bool:
    """Whether Python could import a package; it is not imported to find out.

    Args:
        package: without a dot, so that nothing above it has to be imported.
    """
    if package in ("__builtin__", "copy_reg"):  # as Python 2 called them
        return True
    if package == "__main__":  # what was a script there is not this program
        return False
    try:
        with with_working_folder():
            return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def named_object(name: str, option: str) -> Any:
    """What ``package.module:name`` names, imported: whoever names code this way lets it run.

    Args:
        name: the module and, behind a colon, what in it; dots lead further in.
        option: that names it, for messages.

    Raises:
        OptionError: there is no such module, it cannot be imported, or there is nothing of that name in it.

    Example:
        >>> named_object("torch.nn:functional.relu", "model").__name__
        'relu'
    """
    module_name, _, inner = name.partition(":")
    try:
        with with_working_folder():
            value: Any = importlib.import_module(module_name)
    except Exception as error:  # code of the user's raises anything at all
        first = (str(error).strip().splitlines() or [""])[0][:200]
        if isinstance(error, ModuleNotFoundError) and error.name in (module_name, module_name.partition(".")[0]):
            raise OptionError(
                f"{option} {name}: there is no module {error.name}; it is looked for where Python looks and in the working folder {Path.cwd()}"
            ) from error
        raise OptionError(
            f"{option} {name}: {module_name} cannot be imported ({type(error).__name__}: {first})"
        ) from error
    for part in inner.split("."):
        if not hasattr(value, part):
            raise OptionError(
                f"{option} {name}: {module_name} has no {part}{near_names([part], [one for one in vars(value) if not one.startswith('_')])}"
            )
        value = getattr(value, part)
    return value


def is_import(name: str) -> bool:
    """Whether a text has the form ``package.module:name``."""
    return re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name) is not None
