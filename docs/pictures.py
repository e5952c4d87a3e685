"""Draws the row of photographs at the top of the README, with the network and the photographs that the extra ``imagenet`` brings.

Run: python docs/pictures.py
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from isotherm import explain, open_model
from isotherm.draw import contact_sheet, save_picture

SHOWN = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png")
"""Of scikit-image's photographs: CC0 or in the public domain (Stefan van der Walt, Rachel Michetti, SpaceX, NASA)."""

TILE = 300
"""Four of them side by side are shown at about the width of a README, so that letters keep their size."""


def main() -> None:
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "data"
    model = open_model("imagenet")
    maps = [explain(model, folder / name, trust="off")[0] for name in SHOWN]
    sheet = contact_sheet([m.picture for m in maps], maps, captions=[m.label for m in maps], columns=4, side=TILE)
    print(save_picture(sheet, Path(__file__).parent / "pictures" / "row.jpg", command="python docs/pictures.py"))


if __name__ == "__main__":
    main()
