"""The files that ship with isotherm: trained weights, their recipes, and pictures."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from isotherm.errors import WeightsError


def asset(name: str) -> Path:
    """The path of a file that ships in ``isotherm/assets``. Raises WeightsError where it is missing."""
    with as_file(files("isotherm") / "assets" / name) as fpath:
        if not fpath.is_file():
            raise WeightsError(
                f"{name} is missing from this installation's assets; reinstall isotherm, or make it: isotherm train scenes, detector, tiny-vlm, tiny-grounding or tiny-anticipation"
            )
        return fpath
