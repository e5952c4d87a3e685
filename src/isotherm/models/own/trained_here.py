"""Keypoint and grounding models that were trained here, by the folder or the file that their training wrote."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from isotherm.models.family import Family, Fit, Match
from isotherm.models.weights.headers import is_safetensors
from isotherm.models.weights.recognise import recognise

KEYPOINTS, GROUNDING = "isotherm.keypoints/1", "isotherm.grounding/1"
"""The formats of the files."""
WEIGHTS = {KEYPOINTS: ("model.safetensors",), GROUNDING: ("best.safetensors", "model.safetensors")}
"""What their trainings write into a folder, the better one first."""
WORDS = {KEYPOINTS: "a keypoint model", GROUNDING: "a grounding model"}


def file_of(name: Any, form: str = KEYPOINTS) -> Path | None:
    """The file of a trained model that a path names; None where it names something else.

    Args:
        name: of the folder or the file.
        form: its format.
    """
    if not isinstance(name, str | os.PathLike):
        return None
    path = Path(name)
    tried = [path / one for one in WEIGHTS[form]] if path.is_dir() else [path]
    return next((fpath for fpath in tried if fpath.is_file() and _is(fpath, form)), None)


def _is(fpath: Path, form: str) -> bool:
    try:
        with fpath.open("rb") as file:
            head = file.read(64)
    except OSError:  # whoever opens it says why
        return False
    # a pickle of gigabytes would be looked through for nothing
    return bool(head) and is_safetensors(head, fpath) and recognise(fpath).form == form


def trained_here(model: Any) -> tuple[Family, Match] | None:
    """The family of a folder or a file that a training wrote; None of anything else."""
    matches = ((family, family.matches(model)) for family in FAMILIES)
    return next(((family, match) for family, match in matches if match is not None), None)


def words_of(family: Family) -> str | None:
    """What a model of a family is, such as "a keypoint model"; None where it is no family of these."""
    return next((WORDS[form] for one, form in FAMILIES.items() if one is family), None)


def _matches(form: str, model: Any) -> Match | None:
    if file_of(model, form) is None:
        return None
    return Match(Fit.OWN, f"{Path(model).name} holds {WORDS[form]} that was trained here")


FAMILIES = {  # they are made of what trains them, which stands further right
    Family(name=name, matches=partial(_matches, form), load=f"isotherm.zoo.{name}.view:load"): form
    for name, form in (("keypoints", KEYPOINTS), ("grounding", GROUNDING))
}
