"""The view of a run as it lies in its folder, read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from isotherm.studio.store.blobs import NotThere

FOLDER, INDEX = "view", "pictures.jsonl"


def pictures_of(folder: Path) -> list[dict[str, Any]]:
    """A line for each picture of a run that can be shown by now.

    Args:
        folder: the run's.
    """
    fpath = folder / FOLDER / INDEX
    if not fpath.is_file():
        return []
    *whole, _ = fpath.read_bytes().split(b"\n")  # a line is being written
    return [json.loads(line) for line in whole]


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
    return json.loads(view_path(folder, index, ".json").read_bytes())
