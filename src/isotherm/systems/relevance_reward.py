"""A reward for looking at the right place: the share of an answer's relevance that lies inside of regions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from isotherm.cam.origin import is_finite
from isotherm.data.pictures import as_picture
from isotherm.errors import IsothermError, MethodError, OptionError, TargetError
from isotherm.heatmap import Heatmap
from isotherm.relevance.method import Method, needs_of
from isotherm.relevance.score import Score
from isotherm.vlm.choose import answer_score, token_methods
from isotherm.vlm.explain import explain_answer, maps_of
from isotherm.vlm.guards import guarded
from isotherm.vlm.nonfinite import check_scores, examined
from isotherm.vlm.question import AnswerTarget, Question
from isotherm.vlm.together import alike, questions_together, record_together
from isotherm.vlm.view import LanguageView, PromptInputs


@dataclass(frozen=True, eq=False)
class RelevanceRewards:
    """The rewards of some pictures.

    Args:
        shares: (n,) from 0 to 1, of each picture; 0 where there is no map.
        reasons: for each picture why there is no map, "" where there is one.
        seconds: what all of them took.
    """

    shares: Float[np.ndarray, " n"]
    reasons: tuple[str, ...]
    seconds: float

    @property
    def seconds_each(self) -> float:
        """The cost of one picture, on average."""
        return self.seconds / max(1, len(self.shares))


def relevance_reward(
    view: LanguageView,
    pictures: Sequence[Any],
    regions: Sequence[Any],
    *,
    prompt: str | Sequence[str],
    target: Any = None,
    method: str = "attention_gradient",
    batch: int = 16,
) -> RelevanceRewards:
    """The share of the positive relevance that lies inside of each picture's regions, for reinforcement learning.

    The share is a number and has no gradient. Pictures that the model lays out alike, under the same prompt, go through
    it together: a pass forwards and, for methods of gradients, one back for ``batch`` of them. What a method does
    besides (the way back through the vision tower of ``propagation``, the changed versions of ``integrated_gradients``)
    is done for one picture after another, as is everything for a picture that is unlike all others.

    Args:
        pictures: paths, PIL pictures or (h, w, 3) uint8.
        regions: for each picture boxes (x0, y0, x1, y1) in its pixels, or an (h, w) boolean mask.
        prompt: one for all, or one for each.
        target: what of the answer, as :func:`isotherm.explain` takes it; unless given, the expected number where the
            prompt asks how many and the whole answer otherwise.
        method: of the maps; ``propagation`` lies on the evidence more often and takes about twice as long.
        batch: pictures at a time; memory grows with it. 1: one after another.

    Raises:
        OptionError: not as many regions or prompts as pictures, a region that is none, or no batch.
        NonFiniteError: NaN or infinity in the model, with where it begins.
    """
    prompts = [prompt] * len(pictures) if isinstance(prompt, str) else list(prompt)
    if not len(pictures) == len(regions) == len(prompts):
        raise OptionError(
            f"there are {len(pictures)} pictures, {len(regions)} regions and {len(prompts)} prompts; expected as many of each, or one prompt for all"
        )
    if batch < 1:
        raise OptionError(f"batch is {batch}; expected at least 1 picture at a time")
    methods, _ = token_methods(method)
    start = time.perf_counter()
    pixels = [as_picture(picture).array for picture in pictures]
    inside = [region_mask(r, (int(p.shape[0]), int(p.shape[1]))) for p, r in zip(pixels, regions, strict=True)]
    scores = [answer_score(target, words)[0] for words in prompts]
    maps: list[Heatmap | str] = [""] * len(pictures)
    if batch == 1:
        maps = [_alone(view, *one, methods) for one in zip(pixels, prompts, scores, strict=True)]
    else:
        inputs = [view.ask([p], words) for p, words in zip(pixels, prompts, strict=True)]
        for some in _parts(alike(inputs), batch):
            together = _together(view, [inputs[i] for i in some], [scores[i] for i in some], methods[0])
            for n, i in enumerate(some):
                maps[i] = _alone(view, pixels[i], prompts[i], scores[i], methods) if together is None else together[n]
    shares, reasons = np.zeros(len(pictures)), []
    for i, one in enumerate(maps):
        if isinstance(one, str):
            reasons.append(one)
            continue
        shares[i] = _share(one, inside[i])
        reasons.append("" if one.has_evidence else "no part of the picture speaks for the answer")
    return RelevanceRewards(shares, tuple(reasons), time.perf_counter() - start)


def _parts(groups: Sequence[Sequence[int]], most: int) -> Iterator[Sequence[int]]:
    for group in groups:
        for i in range(0, len(group), most):
            yield group[i : i + most]


def _alone(view: LanguageView, pixels: Any, prompt: str, score: Score, methods: Sequence[Method]) -> Heatmap | str:
    """The first map of a picture, or why there is none."""
    try:
        return explain_answer(view, [pixels], prompt, score=score, methods=methods, trust="off")[0]
    except (TargetError, MethodError) as error:
        return str(error)


def _together(
    view: LanguageView, prompts: Sequence[PromptInputs], scores: Sequence[Score], method: Method
) -> list[Heatmap | str] | None:
    """The same of several pictures; None where one of them fails in a way that must be looked into by itself."""
    if len(prompts) == 1:
        return None
    try:
        questions = questions_together(view, prompts)
        with ExitStack() as looks:
            for question in questions:
                looks.enter_context(examined(question))
            targets = [_target(score, question) for score, question in zip(scores, questions, strict=True)]
            chosen = [(q, t) for q, t in zip(questions, targets, strict=True) if isinstance(t, AnswerTarget)]
            needs = needs_of([method])
            traces = record_together([q for q, _ in chosen], [t for _, t in chosen], needs) if chosen else []
            check_scores(traces)
        maps = iter([maps_of(trace, method, guarded(method, [trace])[0][0])[0] for trace in traces])
    except IsothermError:
        return None
    return [t if isinstance(t, str) else next(maps) for t in targets]


def _target(score: Score, question: Question) -> AnswerTarget | str:
    try:
        first: AnswerTarget = score(question)[0]
    except (TargetError, MethodError) as error:
        if not is_finite(question.logits()):
            raise
        return str(error)
    return first


def region_mask(region: Any, size: tuple[int, int]) -> np.ndarray:
    """A region as an (h, w) boolean mask: boxes in pixels, each rounded to whole ones, or a mask of the same size.

    Raises:
        OptionError: neither, or of another size.

    Example:
        >>> region_mask([(1, 0, 3, 1)], (2, 4)).astype(int).tolist()
        [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    array = np.asarray(region)
    if array.dtype == bool and array.ndim == 2:
        if array.shape != size:
            raise OptionError(f"the mask is {array.shape} and the picture {size}, (height, width); expected the same")
        return array
    boxes = array.reshape(-1, 4) if array.size % 4 == 0 and array.dtype.kind in "iuf" else None
    if boxes is None:
        raise OptionError("a region is boxes (x0, y0, x1, y1) in pixels, or a boolean mask of the picture's size")
    out = np.zeros(size, bool)
    for x0, y0, x1, y1 in np.rint(boxes).astype(int).clip(min=0):
        out[y0:y1, x0:x1] = True
    return out


def _share(heatmap: Heatmap, inside: np.ndarray) -> float:
    # each pixel has a share of its cell, wherever cells are equally large
    values = heatmap.at_source().detach().cpu().double().nan_to_num(0.0).clamp(min=0).numpy()
    total = float(values.sum())
    return float(values[inside].sum()) / total if total > 0 else 0.0
