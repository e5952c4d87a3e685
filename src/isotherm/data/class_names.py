"""Files of class names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isotherm import limits
from isotherm.errors import InputError
from isotherm.untrusted.plain import reads

MOST_BYTES = limits.NAMES_BYTES
"""The names of 21,000 classes have half a million."""


@reads()
def read_class_names(fpath: str | os.PathLike[str]) -> list[str]:
    """Class names in the order of their numbers, from a text file with one in each line, or from JSON.

    Args:
        fpath: a text file; or JSON, a list of names or a mapping of numbers to names.

    Raises:
        InputError: it cannot be read, is empty, or leaves a class without a name.

    Example:
        >>> _ = (tmp_path / "names.json").write_text('{"1": "dog", "0": "cat"}')
        >>> read_class_names(tmp_path / "names.json")
        ['cat', 'dog']
    """
    fpath = Path(fpath)
    try:
        with fpath.open("rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            f"the class names {fpath} cannot be read ({error.strerror or error}); check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"the class names {fpath} are no text ({error}); expected one name in each line, as UTF-8"
        ) from error
    if fpath.suffix.lower() == ".json":
        return _checked(_of_json(text, fpath), fpath)
    return _checked([line.strip() for line in text.rstrip().splitlines()], fpath)


def _of_json(text: str, fpath: Path) -> list[Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the class names {fpath} cannot be read as JSON ({error}); expected a list of names"
        ) from error
    if isinstance(value, Mapping):
        numbers = {str(number): name for number, name in value.items()}
        missing = [str(i) for i in range(len(numbers)) if str(i) not in numbers]
        if missing:
            raise InputError(
                f"the class names {fpath} have no {', '.join(missing[:3])}; expected a name for each number from 0 to {len(numbers) - 1}"
            )
        return [numbers[str(i)] for i in range(len(numbers))]
    if not isinstance(value, list):
        raise InputError(f"the class names {fpath} are a {type(value).__name__}; expected a list of names")
    return value


def _checked(names: list[Any], fpath: Path) -> list[str]:
    if not names:
        raise InputError(f"the class names {fpath} are empty; expected one name for each class")
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InputError(
                f"class {number} has no name in {fpath} ({name!r}); expected one name for each class, in their order"
            )
    return names
