"""Draws the figure of vlm.md: the same questions explained by the usual script, by raw attention and by isotherm, next to the truth.

Run: python docs/vlm_pictures.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.usual_script import usual_script

from isotherm import explain, open_model
from isotherm.data.shape_questions import HELD_OUT, ShapeQuestion, make_question
from isotherm.draw import overlay, save_picture
from isotherm.draw.sheet import Tile, arrange
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap

SIDE = 288
ASKED = (("count", 28), ("count", 20), ("where", 18))
"""Kinds of question and which held-out one of them."""


def enlarged(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.NEAREST))


def drawn(values: torch.Tensor, q: ShapeQuestion, *, signed: bool = False) -> Image.Image:
    """A map of any cells over the enlarged picture."""
    frame = Frame.resize((SIDE, SIDE), (values.shape[0], values.shape[1]))
    return Image.fromarray(
        np.asarray(overlay(Heatmap(values.float(), frame, "relevance", signed=signed), enlarged(q.picture)))
    )


def row(view, q: ShapeQuestion) -> list[Tile]:
    asked = view.ask([q.picture], q.question)
    script = usual_script(view.model, dict(asked.inputs))
    view.model.zero_grad(set_to_none=True)
    looked = explain(view, q.picture, prompt=q.question, method="attention", trust="off")[0]
    ours = explain(view, q.picture, prompt=q.question, trust="off")[0]
    truth = torch.from_numpy(q.evidence).float()
    said = view.vocabulary.decode(view.answer(asked, most=4))
    return [
        Tile(Image.fromarray(enlarged(q.picture)), f"{q.question} → {said}"),
        Tile(drawn(truth, q), f"truth: {q.answer}"),
        Tile(drawn(script, q), "usual script"),
        Tile(drawn(looked.values, q), "attention"),
        Tile(drawn(ours.values, q, signed=ours.signed), f"isotherm: {ours.meta['method']}"),
    ]


def main() -> None:
    view = open_model("tiny-vlm")
    rows = [row(view, make_question(HELD_OUT[i], kind)) for kind, i in ASKED]  # type: ignore[arg-type]
    print(
        save_picture(
            arrange(rows, font_size=24),
            Path(__file__).parent / "pictures" / "vlm_same_question.png",
            command="python docs/vlm_pictures.py",
        )
    )


if __name__ == "__main__":
    main()
