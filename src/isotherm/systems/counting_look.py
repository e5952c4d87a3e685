"""One look: a question about one view of a picture, its answer, the number that the model expects, where that number
comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.decode import peaks
from isotherm.errors import MethodError, TargetError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.points import Points
from isotherm.relevance.score import Score
from isotherm.systems.counting_config import CountingConfig
from isotherm.systems.counting_views import CountView
from isotherm.vlm.choose import token_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.numbers import TextCount, read_count
from isotherm.vlm.question import AnswerScore, AnswerTarget, Question
from isotherm.vlm.view import LanguageView

MOST_DOTS = 4096
"""Of one view; no map of vision tokens has more peaks."""


@dataclass(frozen=True, eq=False)
class Look:
    """What the model says of one view.

    Args:
        view: what was looked at.
        prompt, answer: in words.
        answer_count: the count in the answer.
        expected: sum k p(k), or None where the answer has no number.
        heatmap: of the expected number, over the whole picture.
        own_map: the same over the view's own pixels.
        picture: the view's own pixels as the model got them.
        frame: from them to the whole picture.
        peaks: (n, 2) local maxima of the map in pixels of the whole picture, strongest first; score: the map's value.
        token_px: a vision token's longer side in source pixels.
        notes: what a person should know.
    """

    view: CountView
    prompt: str
    answer: str
    answer_count: TextCount
    expected: float | None
    heatmap: Heatmap | None
    own_map: Heatmap | None
    picture: Picture = field(repr=False)
    frame: Frame
    peaks: Points
    token_px: float
    notes: tuple[str, ...] = ()


def look(model: LanguageView, picture: Picture, view: CountView, category: str, config: CountingConfig) -> Look:
    """Ask about one view.

    Args:
        picture: (h, w, 3) the whole one.
    """
    seen, frame = cut_out(picture, view, None if view.role == "whole" else config.crop_side)
    prompt = config.prompts.of(category, part=view.role != "whole")
    keeping = _Keeping(config.score, config.answer_tokens)
    methods, _ = token_methods(config.method)
    own_map: Heatmap | None = None
    expected: float | None = None
    notes: list[str] = []
    try:
        explained = explain_answer(
            model, [seen], prompt, score=keeping, methods=methods[:1], trust="off", name=view.name
        )
        own_map = explained[0].with_(
            label=f"{explained[0].label}, {view.name}",
            meta={**explained[0].meta, "view": view.name, "box": list(view.box)},
        )
        expected = float(own_map.meta["score"])
        notes += explained.notes
    except (TargetError, MethodError) as error:
        if keeping.question is None:
            raise
        notes.append(f"no map: {error}")
    question = keeping.question
    assert question is not None  # the score is the first to run
    answer = model.vocabulary.decode(question.answer(most=config.answer_tokens)).strip()
    grids = question.prompt.pictures[0].grids
    token_px = float(frame.cell_size.max()) * min(float(grid.frame.cell_size.max()) for grid in grids)
    heatmap = None if own_map is None else own_map.with_(frame=frame.then(own_map.frame), picture=picture)
    dots = Points(torch.zeros(0, 2), score=torch.zeros(0)) if heatmap is None else peaks_of(heatmap, config, token_px)
    return Look(
        view,
        prompt,
        answer,
        read_count(answer, category),
        expected,
        heatmap,
        own_map,
        seen,
        frame,
        dots,
        token_px,
        tuple(notes),
    )


def cut_out(picture: Picture, view: CountView, side: int | None) -> tuple[Picture, Frame]:
    """A view's pixels, scaled to a longer side if there is one, and the way back to the whole picture."""
    x0, y0, x1, y1 = view.box
    frame = Frame.identity((int(picture.shape[0]), int(picture.shape[1]))).cropped(view.box)
    seen = picture[y0:y1, x0:x1]
    if side is not None and side != max(view.size):
        scale = side / max(view.size)
        h, w = (max(1, round(s * scale)) for s in view.size)
        seen = _resized(seen, w, h)
        frame = frame.resized((h, w))
    return seen, frame


def _resized(seen: Picture, w: int, h: int) -> Picture:
    return np.asarray(Image.fromarray(seen).resize((w, h), Image.Resampling.BICUBIC))


def peaks_of(heatmap: Heatmap, config: CountingConfig, token_px: float) -> Points:
    """Local maxima of a map in source pixels, strongest first, and their values."""
    values = heatmap.values.nan_to_num(0.0).clamp(min=0)
    top = float(values.max())
    if top <= 0:
        return Points(torch.zeros(0, 2), score=torch.zeros(0))
    # several tiles are merged into a map whose cells are much smaller than a token
    radius = max(1, round(config.dot_radius_tokens * token_px / float(heatmap.frame.cell_size.max())))
    most = min(MOST_DOTS, values.numel())
    # in units of its largest value, because attention's may be below what a logarithm is safe for
    maxima = peaks(
        heatmap.with_(values=values / top, signed=False), most=most, threshold=config.dot_threshold, radius=radius
    )
    assert maxima.score is not None
    real: Tensor = torch.isfinite(maxima.xy).all(-1)
    return Points(maxima.xy[real].float(), score=maxima.score[real] * top)


class _Keeping(AnswerScore):
    """A score that keeps the question, so that the vision tower runs once for map and answer, and the answer is
    generated once.
    """

    def __init__(self, score: Score, answer_tokens: int) -> None:
        self.score, self.answer_tokens = score, answer_tokens
        self.question: Question | None = None

    def __call__(self, question: Question) -> list[AnswerTarget]:
        self.question = question
        question.answer(most=self.answer_tokens)
        return self.score(question)
