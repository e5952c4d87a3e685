"""From a question to an Explanation: the one place where scores, methods, guards, layout and trust of language models meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.cam.explanation import Explanation, marked
from isotherm.cam.premises import Premise
from isotherm.cam.view import Picture
from isotherm.errors import MethodError, NonFiniteError, OptionError
from isotherm.heatmap import Heatmap
from isotherm.metrics.trust import Trust
from isotherm.ops.names import known_word
from isotherm.vlm.asking import AnswerTarget, Question
from isotherm.vlm.fills import Fill
from isotherm.vlm.guards import guarded
from isotherm.vlm.lay_out import lay_out
from isotherm.vlm.localise import localised
from isotherm.vlm.nonfinite import check_scores, examined
from isotherm.vlm.trace import TokenMethod, TokenTrace, record
from isotherm.vlm.trust import judge
from isotherm.vlm.view import LanguageView
from isotherm.vlm.words import note_unknown_words

AnswerScore = Callable[[Question], list[AnswerTarget]]
FAST_TARGETS = 2
"""Targets that the fast check judges, the first ones: an answer's words have an order of their own, and the surest of them say least."""


def explain_answer(
    view: LanguageView,
    pictures: Sequence[Picture],
    prompt: str,
    *,
    score: AnswerScore,
    methods: Sequence[TokenMethod],
    trust: Literal["fast", "full", "off"] = "fast",
    fill: Fill = "mask",
    mask: Bool[np.ndarray, "h w"] | None = None,
    video_fps: float | None = None,
    name: str = "picture",
    chosen: Sequence[str] = (),
    premises: Sequence[Premise] = (),
    seed: int = 0,
) -> Explanation:
    """Maps of what in some pictures speaks for an answer: targets in order, each target's methods side by side, each method's pictures in order.

    Args:
        score: what of the answer to explain. methods: how. fill: what a vision token becomes where it is taken away for the trust line.
        mask: pixels of the first picture that the answer should rest on, if they are known. video_fps: the pictures are frames of a video, that many a second; each
            moment that the model sees has a map. seed: of random orders and weights.

    Raises:
        TargetError, MethodError, AdapterError, OptionError: see their places.
        NonFiniteError: pixels, vision tokens, logits, a score or a map hold NaN or infinity; the message says where that begins.
    """
    known_word(trust, ("fast", "full", "off"), "trust")
    if not methods:
        raise OptionError("no method was given; pass at least one, such as attention_gradient")
    notes = note_unknown_words(view, prompt)
    asked = view.ask(pictures, prompt) if video_fps is None else view.ask_video(pictures, prompt, fps=video_fps)
    needs = frozenset().union(*(m.needs for m in methods))
    asking = Question.of(view, asked, tower="tower" in needs)
    with examined(asking):
        said = score(asking)
        traces = record(asking, said, needs)
        check_scores(traces)
        by_method = [guarded(method, traces) for method in methods]
    notes = [
        *(str(p) for p in premises if p.alarming),
        *notes,
        *dict.fromkeys(s.note for s in said if s.note),
        *asking.notes,
    ]
    # by now it is known unless the score did without
    answer = asking.words()
    forced = next((s.given for s in said if s.given is not None and not asking.says(s.given)), None)
    found: list[tuple[TokenTrace, TokenMethod, Float[Tensor, " n"]]] = []
    for i, trace in enumerate(traces):
        for method, several in zip(methods, by_method, strict=True):
            values, more = several[i]
            notes += [n for n in more if n not in notes]
            found.append((trace, method, values.detach().cpu().float()))
    spoken = {"answer": answer} if forced is None else {"answer": answer, "forced": forced}
    maps = [marked(m, premises) for trace, method, values in found for m in _maps(trace, method, values, seed)]
    maps = [m.with_(meta={**m.meta, **spoken}) for m in maps]
    if mask is not None:
        notes += [localised(m, mask) for m in maps if m.meta["picture"] == 0]
    silent = [m.label for m in maps if not m.has_evidence]
    if silent and len(silent) == len(maps):
        notes.append("no part of the picture speaks for it, so nothing is drawn")

    def assess() -> tuple[Trust | None, ...]:
        return _assess(found, said, len(asked.pictures), "full" if trust == "full" else "fast", fill, seed)

    return Explanation(
        tuple(maps),
        pictures[0],
        name,
        (),
        tuple(chosen),
        tuple(notes),
        None if trust == "off" or not maps else assess,
        tuple(premises),
        prompt=prompt,
        answer=answer,
        forced=forced,
    )


def by_picture(explanation: Explanation) -> list[Explanation]:
    """What was asked of several pictures together as one Explanation each, in the prompt's order."""
    numbers = sorted({int(m.meta["picture"]) for m in explanation})

    def of(number: int) -> Explanation:
        places = [i for i, m in enumerate(explanation) if m.meta["picture"] == number]
        maps = tuple(explanation[i] for i in places)
        assert maps[0].picture is not None
        # trust is computed once for all of them, when it is first looked at
        assess = None if explanation.assess is None else lambda: tuple(explanation.trust[i] for i in places)
        which = f"{maps[0].meta['shown']} {number + 1} of {len(numbers)}"
        return replace(
            explanation, maps=maps, picture=maps[0].picture, name=f"{explanation.name}, {which}", assess=assess
        )

    return [of(number) for number in numbers]


def _maps(trace: TokenTrace, method: TokenMethod, values: Float[Tensor, " n"], seed: int) -> list[Heatmap]:
    asked = trace.asking.asked
    shown = "picture" if asked.video is None else "moment"
    out = []
    for i, (picture, source) in enumerate(zip(asked.pictures, asked.sources, strict=True)):
        first, last = asked.first[i], asked.first[i + 1]
        laid, frame = lay_out(values[first:last], picture, additive=method.additive)
        meta = {
            "model": trace.asking.view.name,
            "method": method.name,
            "layer": "vision tokens",
            "score": trace.score,
            "prompt": asked.prompt,
            "picture": i,
            "shown": shown,
            "seed": seed,
            "seen": round(float(picture.seen().float().mean()), 4),
        }
        where = f", {shown} {i + 1} of {len(asked.pictures)}" if len(asked.pictures) > 1 else ""
        out.append(
            Heatmap(
                laid,
                frame,
                "relevance",
                signed=method.signed,
                label=f"{trace.said.label}{where}",
                meta=meta,
                picture=source,
            )
        )
    return out


def _assess(
    found: Sequence[tuple[TokenTrace, TokenMethod, Tensor]],
    said: Sequence[AnswerTarget],
    pictures: int,
    level: Literal["fast", "full"],
    fill: Fill,
    seed: int,
) -> tuple[Trust | None, ...]:
    out: list[Trust | None] = []
    judged = said[:FAST_TARGETS] if level == "fast" else said
    for trace, method, values in found:
        known = (
            judge(trace, values, partial(_again, trace, method), level=level, fill=fill, seed=seed)
            if trace.said in judged
            else None
        )
        out += [known] * pictures
    return tuple(out)


def _again(trace: TokenTrace, method: TokenMethod) -> Float[Tensor, " n"]:
    """The same map with the weights that the model has now."""
    asking = Question.of(trace.asking.view, trace.asking.asked, tower="tower" in method.needs)
    try:
        ((values, _),) = guarded(method, record(asking, [trace.said], method.needs))
        return values
    except (MethodError, NonFiniteError):  # random weights may leave nothing to show
        return torch.zeros(asking.tokens)
