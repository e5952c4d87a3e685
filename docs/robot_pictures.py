"""Makes the pictures of robot.md: what a heatmap head says of a table that it never sees, while it is trained, and what the
model that ships says of instructions about another one.

Run: python docs/robot_pictures.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

from isotherm.data.tabletop import KINDS, make_tabletop
from isotherm.data.tabletop.table import HELD_OUT
from isotherm.draw import overlay, save_animation, save_picture
from isotherm.draw.sheet import Tile, add_title, arrange
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.systems.bridgevla.demo.stand_in import SIDE, VIEWS, Trained, train
from isotherm.train.grounding.build import open_grounding
from isotherm.train.grounding.pictures import draw_answer
from isotherm.train.grounding.predict import predict_grounding

STEPS, EVERY, ZOOM = 120, 10, 1.5

COLOURS = 128
"""Of a frame: a third of the bytes, and hardly a difference to be seen."""
HELD_OUT_TABLE = HELD_OUT[17]
WIDE = 400
SHOWN = 4
"""Cells a side that are shown as one: at the end the map is so narrow that little of its colour would be left."""


def frames(made: Trained) -> Iterator[np.ndarray]:
    """Every view with its map, step after step; rings are the truth."""
    views = [made.prompt.table.views[name].picture for name in VIEWS]
    pictures = [
        np.asarray(Image.fromarray(p).resize((round(SIDE * ZOOM),) * 2, Image.Resampling.LANCZOS)) for p in views
    ]
    for step, logits in made.looks.items():
        tiles = []
        for name, picture, values, place in zip(VIEWS, pictures, logits, made.prompt.places, strict=True):
            probability = values.flatten().softmax(0).view(1, SIDE, SIDE)
            coarse = F.avg_pool2d(probability, SHOWN)[0] * SHOWN**2
            frame = Frame.resize(picture.shape[:2], tuple(coarse.shape))
            drawn = Image.fromarray(np.asarray(overlay(Heatmap(coarse, frame, "probability"), picture)))
            x, y = (place * ZOOM).tolist()
            pen = ImageDraw.Draw(drawn)
            for radius, colour, width in ((13, "#0f172a", 4), (12, "white", 2)):
                pen.ellipse([x - radius, y - radius, x + radius, y + radius], outline=colour, width=width)
            tiles.append(Tile(drawn, name))
        heading = f"“{made.prompt.instruction.text}”, after {step:3d} steps"
        sheet = add_title(arrange([tiles], font_size=13), heading)
        yield sheet.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).convert("RGB")


def instructions(seed: int = HELD_OUT_TABLE) -> Image.Image:
    """A table from above, and what the model that ships says of an instruction of each kind; rings are the truth."""
    trained, _ = open_grounding(None)
    table = make_tabletop(seed, size=64, views=("top",))
    picture = table.views["top"].picture
    chosen = [next(i for i in table.instructions if i.kind == kind) for kind in KINDS]
    answers = predict_grounding(trained, [[picture]] * len(chosen), [i.text for i in chosen])
    tiles = []
    for one, (answer, *_) in zip(chosen, answers, strict=True):
        drawn = draw_answer(answer, truth=torch.tensor([table.points(one)["top"]]), title=one.text)
        tiles.append(Tile(drawn.resize((WIDE, round(drawn.height * WIDE / drawn.width)), Image.Resampling.LANCZOS)))
    return arrange([tiles], font_size=13)


def main() -> None:
    save_picture(instructions(), Path(__file__).parent / "pictures" / "robot_instructions.jpg")
    made = train(STEPS, keep=tuple(range(0, STEPS + 1, EVERY)))
    fpath = Path(__file__).parent / "pictures" / "robot_learns.gif"
    save_animation(frames(made), fpath, fps=4)
    print(fpath, fpath.stat().st_size)


if __name__ == "__main__":
    main()
