"""Draws the row of pictures at the top of the README, with the shipped model on the shipped pictures.

Run: python docs/pictures.py
"""

from __future__ import annotations

from pathlib import Path

from isotherm import explain, open_model
from isotherm.data.demo_pictures import demo_picture_paths
from isotherm.draw import contact_sheet, save_picture

SHOWN = ((0, "spiral"), (1, None), (3, None), (4, None))
"""Which shipped picture, and which class; None: what the model is surest of."""


def main() -> None:
    view = open_model("scenes")
    paths = demo_picture_paths()
    maps = [explain(view, paths[i], target=target, trust="off")[0] for i, target in SHOWN]
    sheet = contact_sheet([m.picture for m in maps], maps, captions=[f"{m.label} ({m.meta['method']})" for m in maps], columns=4)
    print(save_picture(sheet, Path(__file__).parent / "pictures" / "row.jpg", command="python docs/pictures.py"))


if __name__ == "__main__":
    main()
