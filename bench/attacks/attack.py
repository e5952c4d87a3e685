"""What an attack is, and the doors that it is tried at."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["pickle", "archive of torch", "safetensors", "program", "ONNX", "folder", "YAML", "JSON", "array"]
Goal = Literal["runs code", "reads elsewhere", "uses up memory or time"]
Write = Callable[[Path, Path], Path]
"""(an empty folder, the marker) -> the file or folder that is opened. The marker is a path outside of it: of an attack that
runs code, where a folder appears; of one that reads elsewhere, a file with weights that must not be opened.
"""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Args:
        name: in words.
        kind: of what is opened.
        goal: what it is after.
        write: makes it.
        doors: names in :data:`DOORS`.
        harmless: whether it may be opened, as what is hostile in it has no effect.
    """

    name: str
    kind: Kind
    goal: Goal
    write: Write
    doors: tuple[str, ...]
    harmless: bool = False


def mkdir_call(marker: Path) -> tuple[Any, tuple[str]]:
    """The program of most attacks: a folder appears."""
    return os.mkdir, (str(marker),)


class Hostile:
    """Makes the marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return mkdir_call(self.marker)


def _model(path: Path) -> Any:
    from isotherm import open_model

    return open_model(str(path))


def _weights(path: Path) -> Any:
    from isotherm.models.weights.files import open_weights

    return open_weights(path)


def _detector(path: Path) -> Any:
    from isotherm import open_model

    return open_model("detector", weights=path)


def _picture(path: Path) -> Any:
    import numpy as np

    from isotherm import explain

    return explain(str(path), np.zeros((16, 16, 3), np.uint8), trust="off")


def _heatmap(path: Path) -> Any:
    from isotherm import Heatmap

    return Heatmap.load(path)


def _recipe(path: Path) -> Any:
    from isotherm.jobs.train.recipe_modules import recipe_module
    from isotherm.train.recipe import read_recipe

    return recipe_module("keypoints").recipe_from(read_recipe(path), where=str(path))


def _sweep(path: Path) -> Any:
    from isotherm.jobs.train.recipe_modules import recipe_module
    from isotherm.train.sweep import read_sweep

    return read_sweep(path, recipe_module)


def _annotations(path: Path) -> Any:
    from isotherm.data.annotation_files import read_json

    return read_json(path)


def _names(path: Path) -> Any:
    from isotherm.data.class_names import read_class_names

    return read_class_names(path)


def _run(path: Path) -> Any:
    from isotherm.runs.read import read_run

    return read_run(path)


DOORS: dict[str, Callable[[Path], Any]] = {
    "model": _model,
    "weights": _weights,
    "weights of the detector": _detector,
    "explain": _picture,
    "heatmap": _heatmap,
    "recipe": _recipe,
    "sweep": _sweep,
    "annotations": _annotations,
    "class names": _names,
    "run": _run,
}
"""By what a user hands over: the model of a command, its weights, and so on."""
