"""Keypoint models that were trained here, by the folder or the file that their training wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from isotherm.models.family import Family, Fit, Match
from isotherm.models.weights.headers import is_safetensors
from isotherm.models.weights.recognise import recognise

KEYPOINTS = "isotherm.keypoints/1"
"""The format of the file."""
WEIGHTS = "model.safetensors"
"""What the training writes into its folder."""


def file_of(name: Any) -> Path | None:
    """The file of a trained keypoint model that a path names; None where it names something else."""
    if not isinstance(name, str | os.PathLike):
        return None
    fpath = Path(name) / WEIGHTS if Path(name).is_dir() else Path(name)
    if not fpath.is_file():
        return None
    try:
        with fpath.open("rb") as file:
            head = file.read(64)
    except OSError:  # whoever opens it says why
        return None
    # a pickle of gigabytes would be looked through for nothing
    return fpath if head and is_safetensors(head, fpath) and recognise(fpath).form == KEYPOINTS else None


def matches(model: Any) -> Match | None:
    """Its folder, and its file."""
    if file_of(model) is None:
        return None
    return Match(Fit.OWN, f"{Path(model).name} holds a keypoint model that was trained here")


FAMILY = Family(
    name="keypoints",
    matches=matches,
    load="isotherm.zoo.keypoints.view:load",  # it is made of what trains it, which stands further right
)
