"""Draws the pictures of keypoints.md by the commands that are printed there: a training, its evaluation, a sweep.

Run: python docs/keypoint_pictures.py    (about ten minutes on two processors; what is finished in runs/ is used again)
"""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from isotherm.cli import main as isotherm
from isotherm.draw import save_picture
from isotherm.draw.sheet import Tile, arrange

PICTURES = Path(__file__).parent / "pictures"
TRAIN = "train keypoints --config recipes/generated_beetles.yaml --out runs/beetles"
EVAL = "eval keypoints --run runs/beetles --out runs/beetles-eval --overwrite"
SWEEP = "sweep recipes/first_sweep.yaml"


def run(command: str) -> None:
    assert isotherm(command.split()) == 0, command


def row(fpaths: list[Path], side: int, captions: list[str] | None = None) -> Image.Image:
    """Pictures next to each other without the footers that they have as files."""
    tiles = []
    for i, fpath in enumerate(fpaths):
        with Image.open(fpath) as image:
            scale = side / image.width
            tiles.append(
                Tile(
                    image.convert("RGB").resize((side, round(image.height * scale)), Image.Resampling.LANCZOS),
                    captions[i] if captions else "",
                )
            )
    return arrange([tiles], font_size=18)


def main() -> None:
    run(TRAIN)
    run(EVAL)
    run(SWEEP)
    chosen = [
        Path("runs/beetles-eval/pictures") / f"{name}.jpg"
        for name in ("best-1", "best-2", "best-3", "worst-2", "worst-1")
    ]
    save_picture(
        row(chosen, 420, ["best", "second best", "third best", "second worst", "worst"]),
        PICTURES / "keypoints_found.jpg",
        quality=85,
    )
    save_picture(
        row([Path("runs/beetles-eval") / f"{name}.png" for name in ("pck", "lines", "calibration")], 560),
        PICTURES / "keypoints_figures.png",
    )
    shutil.copy("runs/first_sweep/matrix.png", PICTURES / "keypoints_sweep.png")


if __name__ == "__main__":
    main()
