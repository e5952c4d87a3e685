"""Covered pixels: which they are, and what the answer loses, on models whose every number is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import MethodError, OptionError
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.methods import AttentionGradient, GradientActivation, Occlusion
from isotherm.vlm.pixel_cells import pixel_cells, scores_without
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Custom
from isotherm.vlm.tokens import PictureTokens
from isotherm.vlm.trace import record
from rigs.toy_language_view import Toy


class Summing(Toy):
    """One vision token of each picture, which is the sum of the squared differences of its pixels from grey."""

    def __init__(self, placeless: str = "") -> None:
        super().__init__(lambda seen, said: torch.stack([seen.sum(), -seen.sum()]), ["a", "?"], (), (6, 6))
        self.placeless = placeless

    def ask(self, pictures, prompt):
        asked = super().ask(pictures, prompt)
        known = tuple(PictureTokens(p.size, (), 1, placeless=self.placeless) for p in asked.pictures)
        positions = torch.arange(len(known))
        return type(asked)({}, torch.tensor([0] * len(known) + [1]), prompt, asked.sources, known, positions)

    def embed(self, prompt):
        sums = [float(((s.astype(np.float32) - 128) ** 2).sum()) / 1e4 for s in prompt.sources]
        return (torch.tensor(sums)[None, :, None],)

    def answer(self, prompt, *, most):
        return []


def pictures_with(*boxes, size=(40, 60)):
    """Grey pictures, each with a square of noise of the same mean at (x0, y0, x1, y1)."""
    rng, out = np.random.default_rng(0), []
    for x0, y0, x1, y1 in boxes:
        picture = np.full((*size, 3), 128, np.uint8)
        noise = rng.choice((28, 228), (y1 - y0, (x1 - x0) // 2, 3)).astype(np.uint8)
        picture[y0:y1, x0:x1] = np.concatenate([noise, 256 - noise.astype(int)], 1)
        out.append(picture)
    return out


def trace_of(view, pictures):
    question = Question.of(view, view.ask(pictures, "?"))
    (trace,) = record(question, Custom(lambda logits: logits[0, 0])(question), frozenset())
    return trace


def test_cells_are_nearly_square_and_cover_the_picture():
    prompt = Summing("why").ask(pictures_with((0, 0, 4, 4)), "?")
    ((grid,),) = [place.grids for place in pixel_cells(prompt, 12)]
    assert grid.frame.size == (8, 12)
    assert grid.frame.cell_size.tolist() == [5, 5]
    (strip,) = pixel_cells(Summing().ask([np.zeros((8, 200, 3), np.uint8)], "?"), 12)
    assert strip.grids[0].frame.size == (1, 12)


def test_what_is_covered_is_what_lies_in_the_cells():
    """A square of 10 x 10 pixels is four cells of 5 x 5; half of it is half of the score."""
    view = Summing()
    trace = trace_of(view, pictures_with((20, 10, 30, 20)))
    places = pixel_cells(trace.question.prompt, 12)
    gone = torch.zeros(3, 96, dtype=torch.bool)
    gone[1, [2 * 12 + 4, 3 * 12 + 4]] = True  # the left half
    gone[2, [2 * 12 + 4, 3 * 12 + 4, 2 * 12 + 5, 3 * 12 + 5]] = True
    whole, half, nothing = (scores_without(trace, places, gone) / trace.score).tolist()
    assert (whole, half, nothing) == (pytest.approx(1), pytest.approx(0.5, abs=1e-3), pytest.approx(0, abs=1e-3))


def test_the_map_lies_on_what_the_answer_rests_on_in_each_picture_and_the_verdict_says_so():
    pictures = pictures_with((20, 10, 30, 20), (44, 22, 54, 32))
    score = Custom(lambda logits: logits[0, 0])
    maps = explain_answer(Summing("behind a resampler"), pictures, "?", score=score, methods=[Occlusion()])
    for one, (x0, y0, x1, y1) in zip(maps, ((20, 10, 30, 20), (44, 22, 54, 32)), strict=True):
        values = torch.as_tensor(one.values)
        row, column = divmod(int(values.argmax()), values.shape[1])
        (x, y) = one.frame.points_to_source(torch.tensor([[column + 0.5, row + 0.5]]))[0].tolist()
        assert x0 <= x <= x1
        assert y0 <= y <= y1
        assert one.meta["layer"] == "pixels"
        assert one.meta["seen"] == 1
    assert maps.trust[0].deletion.standing == "better"
    assert maps.trust[0].insertion.standing == "better"


def test_maps_of_tokens_without_places_are_refused_and_covering_pixels_is_offered():
    view = Summing("each changes with pixels all over the picture")
    with pytest.raises(
        MethodError,
        match=r"attention_gradient would make a map of vision tokens, which are not known to stand for places: each changes .* method occlusion",
    ):
        explain_answer(
            view,
            pictures_with((0, 0, 4, 4)),
            "?",
            score=Custom(lambda logits: logits[0, 0]),
            methods=[AttentionGradient(), Occlusion()],
        )
    from isotherm.vlm.guards import guarded

    with pytest.raises(MethodError, match="gradient_activation would make a map"):
        guarded(GradientActivation(), [trace_of(view, pictures_with((0, 0, 4, 4)))])


@pytest.mark.parametrize("options", [{"cells": 1}, {"square": 2}, {"square": 0}])
def test_squares_have_a_middle(options):
    with pytest.raises(OptionError, match="expected at least 2 cells, and an odd number of them for the square"):
        Occlusion(**options)
