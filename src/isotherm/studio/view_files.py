"""The view of a run as it lies in its folder, read without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from isotherm import limits
from isotherm.errors import InputError
from isotherm.studio.store.blobs import NotThere
from isotherm.untrusted.plain import content_of, json_of, read_object

Read = TypeVar("Read")
FOLDER, INDEX = "view", "pictures.jsonl"


def pictures_of(folder: Path) -> list[dict[str, Any]]:
    """A line for each picture of a run that can be shown by now: the latest that was written of it.

    Args:
        folder: the run's.
    """
    fpath = folder / FOLDER / INDEX
    if not fpath.is_file():
        return []
    *whole, _ = content_of(fpath, most=limits.TABLE_BYTES).split(b"\n")  # a line is being written
    latest = {}
    for number, text in enumerate(whole, 1):
        one = json_of(text, f"{fpath}, line {number}")
        if not isinstance(one, dict) or type(one.get("index")) is not int or not isinstance(one.get("name"), str):
            raise InputError(f"{fpath}, line {number}: it has no index and name of a picture; the file is damaged")
        latest[one["index"]] = one
    return [latest[index] for index in sorted(latest)]


def read_from(folder_of: Callable[[], Path], read: Callable[[Path], Read]) -> Read:
    """What is read from a run's folder, also where the run ends meanwhile and the folder is moved to where it is kept.

    Args:
        folder_of: where it lies now.
        read: reads from it.
    """
    try:
        return read(folder_of())
    except (NotThere, FileNotFoundError):
        return read(folder_of())


def view_path(folder: Path, index: int, suffix: str) -> Path:
    """A file of a picture's view.

    Args:
        folder: the run's.
        index: the picture's number, from 0.
        suffix: .json, .f16, .jpg, .thumb.jpg or .map.jpg.

    Raises:
        NotThere: there is no such picture, or it is not done yet.
    """
    fpath = folder / FOLDER / f"{index:05d}{suffix}"
    if not fpath.is_file():
        raise NotThere(f"the run has no picture {index} that can be shown (yet); its pictures are listed with its view")
    return fpath


def view_of(folder: Path, index: int) -> dict[str, Any]:
    """What the page knows of a picture and its maps.

    Args:
        folder: the run's.
        index: the picture's number, from 0.

    Raises:
        NotThere: there is no such picture, or it is not done yet.
    """
    fpath = view_path(folder, index, ".json")
    view = read_object(fpath)
    maps = view.get("maps")
    if not isinstance(maps, list) or not all(isinstance(one, dict) for one in maps):
        raise InputError(f"{fpath}: it has no list of maps; the file is damaged")
    return view
