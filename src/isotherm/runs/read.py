"""Runs read back from their folders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from isotherm.errors import InputError
from isotherm.runs.file import FORMAT, RUN_FILE
from isotherm.runs.record import ITEMS_FILE


def read_run(dpath: str | os.PathLike[str]) -> dict[str, Any]:
    """The record of a run; ``status`` is ``"running"`` where it was killed.

    Raises:
        InputError: the folder holds no run of this program.
    """
    fpath = Path(dpath) / RUN_FILE
    try:
        record = json.loads(fpath.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{dpath} holds no {RUN_FILE}; expected the folder of a run") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{fpath} cannot be read ({type(error).__name__}: {error})") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{fpath} is not the record of a run; expected the format {FORMAT!r}")
    return record


def read_items(dpath: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The items of a run, also of one that was killed: a last line without an end is left out.

    Raises:
        InputError: the file is missing, or a whole line of it is not JSON.
    """
    fpath = Path(dpath) / ITEMS_FILE
    try:
        *lines, _ = fpath.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{fpath} cannot be read ({error.strerror or error}); expected the folder of a run") from error
    items = []
    for number, line in enumerate(lines, 1):
        try:
            items.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{fpath}, line {number}: not JSON ({error}); the file was changed by something else"
            ) from error
    return items
