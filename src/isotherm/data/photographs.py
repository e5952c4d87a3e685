"""Real photographs to try a model on: four that scikit-image's wheel holds, with their sources and licences.

scikit-image can also fetch pictures; only files that are part of its wheel are used, and nothing is imported from it,
so no network is ever asked.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from isotherm.errors import InputError, MissingExtraError


@dataclass(frozen=True)
class Photograph:
    """A photograph in scikit-image's wheel.

    Args:
        name: what it shows, in a word.
        file: its name in ``skimage/data``.
        source: who made it, and where it is from.
        licence: as scikit-image or the source states it.
        box: (x0, y0, x1, y1) in its pixels, drawn by hand around the object that a classifier should name.
    """

    name: str
    file: str
    source: str
    licence: str
    box: tuple[float, float, float, float]

    @property
    def fpath(self) -> Path:
        """Where the file is.

        Raises:
            MissingExtraError: scikit-image is not installed.
            InputError: it is, but without this file.
        """
        spec = importlib.util.find_spec("skimage")
        if spec is None or not spec.submodule_search_locations:
            raise MissingExtraError("scikit-image", "imagenet", f"the photograph {self.file}")
        fpath = Path(spec.submodule_search_locations[0]) / "data" / self.file
        if not fpath.is_file():
            raise InputError(
                f"{self.file} is missing from this installation of scikit-image ({fpath.parent}); install it again: pip install --force-reinstall scikit-image"
            )
        return fpath


PHOTOGRAPHS: tuple[Photograph, ...] = (
    Photograph("cat", "chelsea.png", "Chelsea the cat, by Stefan van der Walt", "CC0", (20, 0, 392, 300)),
    Photograph(
        "coffee",
        "coffee.png",
        "coffee cup, by Rachel Michetti, courtesy of Pikolo Espresso Bar",
        "CC0",
        (172, 15, 418, 305),
    ),
    Photograph(
        "rocket",
        "rocket.jpg",
        "Falcon 9 before launch, by SpaceX",
        "released into the public domain",
        (303, 124, 338, 410),
    ),
    Photograph(
        "motorcycle",
        "motorcycle_left.png",
        "Middlebury 2014 stereo benchmark, by D. Scharstein, H. Hirschmüller and others",
        "published for research; no other licence is stated",
        (98, 60, 684, 452),
    ),
)
"""A cat, a cup of coffee, a rocket and a motorcycle."""
