"""From a question to an Explanation: the one place where scores, methods, guards, layout and trust of language models
meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.cam.explanation import Explanation, marked
from isotherm.cam.premises import Premise
from isotherm.cam.same import told_apart
from isotherm.cam.view import Picture
from isotherm.errors import MethodError, NonFiniteError, OptionError
from isotherm.heatmap import Heatmap
from isotherm.metrics.trust import Trust
from isotherm.ops.names import known_word
from isotherm.relevance.judge import FAST_TARGETS, Check, Pause
from isotherm.relevance.method import Method, check_explains, is_additive, needs_of
from isotherm.relevance.score import Score
from isotherm.vlm.fills import Fill
from isotherm.vlm.gain import CoveredPrompt
from isotherm.vlm.guards import guarded
from isotherm.vlm.lay_out import lay_out
from isotherm.vlm.localise import localised
from isotherm.vlm.nonfinite import check_scores, examined
from isotherm.vlm.pixel_cells import PlacingMethod, check_places, covers, places_of
from isotherm.vlm.question import AnswerTarget, Question
from isotherm.vlm.tokens import PictureTokens
from isotherm.vlm.trace import TokenTrace, record
from isotherm.vlm.trust import judge_answer
from isotherm.vlm.view import LanguageView
from isotherm.vlm.words import note_unknown_words


def explain_answer(
    view: LanguageView,
    pictures: Sequence[Picture],
    prompt: str,
    *,
    score: Score,
    methods: Sequence[Method],
    trust: Literal["fast", "full", "off"] = "fast",
    fill: Fill = "mask",
    mask: Bool[np.ndarray, "h w"] | None = None,
    video_fps: float | None = None,
    name: str = "picture",
    chosen: Sequence[str] = (),
    premises: Sequence[Premise] = (),
    seed: int = 0,
) -> Explanation:
    """Maps of what in some pictures speaks for an answer: targets in order, each target's methods side by side, each
    method's pictures in order.

    Args:
        score: what of the answer to explain.
        methods: how.
        fill: what a vision token becomes where it is taken away for the trust line.
        mask: pixels of the first picture that the answer should rest on, if they are known.
        video_fps: the pictures are frames of a video, that many a second; each moment that the model sees has a map.
        seed: of random orders and weights.

    Raises:
        TargetError, MethodError, AdapterError, OptionError: see their places.
        NonFiniteError: pixels, vision tokens, logits, a score or a map hold NaN or infinity; the message says where
            that begins.
    """
    known_word(trust, ("fast", "full", "off"), "trust")
    if not methods:
        raise OptionError("no method was given; pass at least one, such as attention_gradient")
    check_explains(methods, "answers", "choose a method of isotherm.methods that explains answers, such as propagation")
    notes = note_unknown_words(view, prompt)
    inputs = view.ask(pictures, prompt) if video_fps is None else view.ask_video(pictures, prompt, fps=video_fps)
    check_places(methods, inputs)
    of_tokens = [method for method in methods if not isinstance(method, PlacingMethod)]
    if fill == "mask" and trust != "off" and not all(covers(method) for method in methods) and not view.hides:
        fill = "mean"
        notes.append(
            "some layers of the language model have no attention, so no vision token can be hidden in them: where the verdict takes tokens away, they become the mean of their picture"
        )
    needs = needs_of(methods)
    question = Question.of(view, inputs, tower="tower" in needs)
    with examined(question):
        targets = score(question)
        traces = record(question, targets, needs)
        check_scores(traces)
        by_method = [guarded(method, traces) for method in methods]
    notes = [
        *(str(p) for p in premises if p.alarming),
        *notes,
        *dict.fromkeys(s.note for s in targets if s.note),
        *question.notes,
        *(places_measured(inputs.pictures) if of_tokens else ()),
    ]
    # by now it is known unless the score did without
    answer = question.words()
    forced = next((t.forced for t in targets if t.forced is not None and not question.says(t.forced)), None)
    made: list[tuple[TokenTrace, Method, Float[Tensor, " n"]]] = []
    for i, trace in enumerate(traces):
        for method, several in zip(methods, by_method, strict=True):
            values, more = several[i]
            notes += [n for n in more if n not in notes]
            made.append((trace, method, values.detach().cpu().float()))
    spoken = {"answer": answer} if forced is None else {"answer": answer, "forced": forced}
    maps = [marked(m, premises) for trace, method, values in made for m in maps_of(trace, method, values, seed)]
    maps = [m.with_(meta={**m.meta, **spoken}) for m in maps]
    if len(inputs.pictures) == 1:
        drawn_once, same = told_apart(maps, len(methods))
        maps, notes = list(drawn_once), [*notes, *same]
    if mask is not None:
        notes += [localised(m, mask) for m in maps if m.meta["picture"] == 0]
    silent = [m.label for m in maps if not m.has_evidence]
    if silent and len(silent) == len(maps):
        notes.append("no part of the picture speaks for it, so nothing is drawn")

    # the first ones: an answer's words have an order of their own, and the surest of them say least
    judged = targets if trust == "full" else targets[:FAST_TARGETS]
    chosen_maps = tuple(trace.target in judged for trace, _, _ in made for _ in inputs.pictures)

    def assess(pause: Pause) -> tuple[Trust | None, ...]:
        return _assess(made, judged, len(inputs.pictures), "full" if trust == "full" else "fast", fill, seed, pause)

    return Explanation(
        tuple(maps),
        pictures[0],
        name,
        (),
        tuple(chosen),
        tuple(notes),
        None if trust == "off" or not maps else Check(chosen_maps, assess),
        tuple(premises),
        prompt=prompt,
        answer=answer,
        forced=forced,
    )


def by_picture(explanation: Explanation) -> list[Explanation]:
    """What was asked of several pictures together as one Explanation each, in the prompt's order."""
    numbers = sorted({int(m.meta["picture"]) for m in explanation})
    known = cache(lambda pause: explanation.judged(pause).trust)  # the check is made once for all of them

    def of(number: int) -> Explanation:
        places = [i for i, m in enumerate(explanation) if m.meta["picture"] == number]
        maps = tuple(explanation[i] for i in places)
        assert maps[0].picture is not None
        chosen = tuple(explanation.to_be_judged[i] for i in places)
        assess = None if explanation.assess is None else Check(chosen, lambda on: tuple(known(on)[i] for i in places))
        which = f"{maps[0].meta['shown']} {number + 1} of {len(numbers)}"
        return replace(
            explanation, maps=maps, picture=maps[0].picture, name=f"{explanation.name}, {which}", assess=assess
        )

    return [of(number) for number in numbers]


def maps_of(trace: TokenTrace, method: Method, values: Float[Tensor, " n"], seed: int = 0) -> list[Heatmap]:
    """A method's values for one target as a map for each picture of the prompt."""
    prompt = trace.question.prompt
    shown = "picture" if prompt.video is None else "moment"
    out = []
    places = places_of(method, prompt)
    parts = values.split([place.count for place in places])
    for i, (picture, source, part) in enumerate(zip(places, prompt.sources, parts, strict=True)):
        laid, frame = lay_out(part, picture, additive=is_additive(method))
        meta = {
            "model": trace.question.view.name,
            "method": method.name,
            "layer": "pixels" if isinstance(method, PlacingMethod) else "vision tokens",
            "score": trace.score,
            "prompt": prompt.text,
            "picture": i,
            "shown": shown,
            "seed": seed,
            "seen": round(float(picture.seen().float().mean()), 4),
        }
        if picture.off is not None:  # cells of pixels lie where they are put
            meta["place_error_px"] = round(picture.off[1], 2)
        where = f", {shown} {i + 1} of {len(prompt.pictures)}" if len(prompt.pictures) > 1 else ""
        out.append(
            Heatmap(
                laid,
                frame,
                "relevance",
                signed=method.signed,
                label=f"{trace.target.label}{where}",
                meta=meta,
                picture=source,
            )
        )
    return out


def places_measured(pictures: Sequence[PictureTokens]) -> list[str]:
    """What is known of places that were measured; nothing where they are exact."""
    off = [picture.off for picture in pictures if picture.off is not None]
    if not off:
        return []
    median, largest = (max(values) for values in zip(*off, strict=True))
    return [
        f"where the vision tokens lie was measured, as no exact layout is known of this family: single tokens were found {median:.1f} pixels from the cells' centres (median), {largest:.1f} at most"
    ]


def _assess(
    made: Sequence[tuple[TokenTrace, Method, Tensor]],
    judged: Sequence[AnswerTarget],
    pictures: int,
    level: Literal["fast", "full"],
    fill: Fill,
    seed: int,
    pause: Pause,
) -> tuple[Trust | None, ...]:
    out: list[Trust | None] = []
    prompts: dict[int, CoveredPrompt] = {}
    for trace, method, values in made:
        covered = prompts.setdefault(id(trace.question), CoveredPrompt(trace.question, seed=seed, pause=pause))
        cells = places_of(method, trace.question.prompt) if isinstance(method, PlacingMethod) else None
        again = partial(_again, trace, method)
        known = (
            judge_answer(
                trace,
                values,
                again,
                cells=cells,
                covers=covers(method),
                level=level,
                fill=fill,
                seed=seed,
                pause=pause,
                covered=covered,
            )
            if trace.target in judged
            else None
        )
        out += [known] * pictures
    return tuple(out)


def _again(trace: TokenTrace, method: Method) -> Float[Tensor, " n"]:
    """The same map with the weights that the model has now."""
    question = Question.of(trace.question.view, trace.question.prompt, tower="tower" in method.needs)
    try:
        ((values, _),) = guarded(method, record(question, [trace.target], method.needs))
        return values
    except (MethodError, NonFiniteError):  # random weights may leave nothing to show
        return torch.zeros(sum(place.count for place in places_of(method, question.prompt)))
