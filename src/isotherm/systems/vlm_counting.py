"""Counting with vision-language models: several looks at a picture, one count, a dot for each object, and where in the
picture the numbers come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from isotherm.api import open_model
from isotherm.cam.premises import premises_of
from isotherm.cam.view import Picture
from isotherm.data.pictures import as_picture
from isotherm.errors import AdapterError, OptionError
from isotherm.heatmap import Heatmap
from isotherm.points import Points
from isotherm.progress import Progress, Say, silent
from isotherm.relevance.method import is_additive
from isotherm.runs.file import frame_to_json
from isotherm.systems.counting_config import CountingConfig
from isotherm.systems.counting_doubts import doubts_of, estimate_of, notes_of
from isotherm.systems.counting_figure import counting_figure
from isotherm.systems.counting_fusion import FusedCount, Sighting, fuse
from isotherm.systems.counting_look import Look, look
from isotherm.systems.counting_views import views_of
from isotherm.vlm.choose import token_methods
from isotherm.vlm.view import LanguageView
from isotherm.vlm.words import note_unknown_words

FORMAT = "isotherm.count/1"


@dataclass(frozen=True, eq=False)
class CountResult:
    """How many there are in a picture, and why.

    Args:
        category: what was counted.
        strategy, model: their names.
        count: of the whole picture, rounded; None where the model gave no count.
        exact: before rounding.
        looks: one for each view: answer, count, expected number, map.
        counts: of each view, None where it gave none.
        dots: (n, 2) one for each object that has a place, in source pixels; score: the map's value, channel: the number
            of the look.
        unplaced: how much of the count has no dot.
        estimate: why the count is not what the model answered to every view; "" where it is.
        doubts: what contradicts the count: its own dots, the whole picture, words that the model did not read.
        notes: what else a person should know.
        picture: (h, w, 3).
    """

    category: str
    strategy: str
    model: str
    count: int | None
    exact: float | None
    looks: tuple[Look, ...]
    counts: tuple[float | None, ...]
    dots: Points
    unplaced: float
    notes: tuple[str, ...]
    additive: bool
    picture: Picture = field(repr=False)
    estimate: str = ""
    doubts: tuple[str, ...] = ()

    @property
    def maps(self) -> tuple[Heatmap, ...]:
        """The maps that there are, each over the whole picture."""
        return tuple(one.heatmap for one in self.looks if one.heatmap is not None)

    def figure(self, *, side: int = 420, title: str | None = None) -> Image.Image:
        """All looks at a glance: the dots and crops on the picture, and each view with its map, on one scale of
        colours.
        """
        return counting_figure(
            self.picture,
            self.looks,
            self.counts,
            self.dots,
            title=title or self.headline(),
            additive=self.additive,
            side=side,
        )

    def headline(self) -> str:
        """The count in one line, with what makes it an estimate and what contradicts it."""
        return f"{self.category}: {self._number()} ({self.strategy}, {len(self.looks)} view{'s' if len(self.looks) > 1 else ''}, {self.model}){self._but()}"

    def line(self) -> str:
        """The count with its category, what makes it an estimate and what contradicts it: "3 red"."""
        return f"{self._number()} {'of ' if self.count is None else ''}{self.category}{self._but()}"

    def _number(self) -> str:
        return "no count" if self.count is None else f"about {self.count}" if self.estimate else f"{self.count}"

    def _but(self) -> str:
        estimate = [self.estimate if self.count is None else f"an estimate: {self.estimate}"] if self.estimate else []
        doubts = [f"doubtful: {', '.join(self.doubts)}"] if self.doubts else []
        return "".join(f"; {part}" for part in (*estimate, *doubts))

    def to_json(self) -> dict[str, Any]:
        """Everything but pixels and maps, as JSON can hold it."""
        score, channel = self.dots.score, self.dots.channel
        assert score is not None
        assert channel is not None
        views = [
            {
                "name": one.view.name,
                "role": one.view.role,
                "box": list(one.view.box),
                "prompt": one.prompt,
                "answer": one.answer,
                "said": one.answer_count.value,
                "read": one.answer_count.reason,
                "expected": one.expected,
                "counted": counted,
                "frame": None if one.heatmap is None else frame_to_json(one.heatmap.frame),
                "notes": list(one.notes),
            }
            for one, counted in zip(self.looks, self.counts, strict=True)
        ]
        dots = [
            {"x": round(x, 3), "y": round(y, 3), "score": float(f"{s:.6g}"), "view": int(v)}
            for (x, y), s, v in zip(self.dots.xy.tolist(), score.tolist(), channel.tolist(), strict=True)
        ]
        return {
            "format": FORMAT,
            "category": self.category,
            "strategy": self.strategy,
            "model": self.model,
            "size": list(self.picture.shape[:2]),
            "count": self.count,
            "exact": self.exact,
            "estimate": self.estimate or None,
            "doubts": list(self.doubts),
            "unplaced": self.unplaced,
            "unit": "source pixels from the top left corner",
            "dots": dots,
            "views": views,
            "notes": list(self.notes),
        }


def count(
    model: str | Path | LanguageView | Any,
    image: Any,
    category: str,
    *,
    strategy: str = "hybrid",
    config: CountingConfig | None = None,
    crops: Sequence[Sequence[float]] = (),
    say: Say = silent,
) -> CountResult:
    """Count the objects of a category in a picture.

    Args:
        model: a vision-language model: its name, a module, or a view from :func:`isotherm.open_model`.
        image: a path, PIL picture or (h, w, 3) uint8.
        category: what to count, as the prompt has it: "peaches".
        strategy: ``global``, ``comparison``, ``dense``, ``hybrid`` or ``custom``; see
            :func:`isotherm.systems.counting_views.views_of`. The count of global and comparison is that of the whole
            picture; of the others that of their crops, put together by :mod:`isotherm.systems.counting_fusion`.
        crops: boxes (x0, y0, x1, y1) in source pixels, for comparison (one) and custom.
        say: is told of every look.

    Raises:
        OptionError: no such strategy or crop.
        TargetError: the model's vocabulary has no word of the question.
        AdapterError: not a model that answers questions.
    """
    view = open_model(model)
    if not isinstance(view, LanguageView):
        raise AdapterError(
            f"{getattr(view, 'name', type(view).__name__)} answers no questions; counting needs a vision-language model, such as Qwen/Qwen3-VL-2B-Instruct"
        )
    config = (config or CountingConfig()).worded(view)
    picture = as_picture(image).array
    size = (int(picture.shape[0]), int(picture.shape[1]))
    views = views_of(size, strategy, grid=config.grid, overlap=config.overlap, crops=crops)
    additive = is_additive(token_methods(config.method)[0][0])
    words = [*(str(p) for p in premises_of(view) if p.alarming), *_unknown_words(view, category, config)]
    looks = []
    for i, one in enumerate(views):
        say(Progress(step=i + 1, total=len(views), text=one.name, stage="looking"))
        looks.append(look(view, picture, one, category, config))
    counts = tuple(_counted(one, config) for one in looks)
    seen = [Sighting(one.view, known, one.peaks.xy.double().numpy()) for one, known in zip(looks, counts, strict=True)]
    fused = fuse(seen, size, same_px=config.same_tokens * max(one.token_px for one in looks))
    whole = None if fused.count is None else int(np.floor(fused.count + 0.5))
    notes = list(dict.fromkeys([*words, *notes_of(looks, counts, fused, whole, words)]))
    doubts = doubts_of(view, category, looks, counts, fused, whole)
    return CountResult(
        category,
        strategy,
        view.name,
        whole,
        fused.count,
        tuple(looks),
        counts,
        _dots(looks, fused),
        fused.unplaced,
        tuple(notes),
        additive,
        picture,
        estimate=estimate_of(looks, counts),
        doubts=tuple(doubts),
    )


def _counted(one: Look, config: CountingConfig) -> float | None:
    """A view's count; each of answer and expected number stands in where the other is missing."""
    first, second = (
        (one.answer_count.value, one.expected) if config.by == "answer" else (one.expected, one.answer_count.value)
    )
    return second if first is None else first


def _dots(looks: Sequence[Look], fused: FusedCount) -> Points:
    """The dots that count; their channel is the number of the look that found them."""
    pairs = list(zip(fused.view.tolist(), fused.peak.tolist(), strict=True))
    xy = torch.stack([looks[v].peaks.xy[k] for v, k in pairs]) if pairs else torch.zeros(0, 2)
    score = torch.tensor([float(looks[v].peaks.score[k]) for v, k in pairs])  # type: ignore[index]
    return Points(xy, score=score, channel=torch.tensor([v for v, _ in pairs], dtype=torch.long))


def _unknown_words(view: LanguageView, category: str, config: CountingConfig) -> list[str]:
    """Words of the questions that the model's vocabulary has not."""
    if not category.strip():
        raise OptionError("the category is empty; say what to count, such as 'peaches'")
    questions = dict.fromkeys(config.prompts.of(category, part=part) for part in (False, True))
    return list(dict.fromkeys(line for question in questions for line in note_unknown_words(view, question)))
