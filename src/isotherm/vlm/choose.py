"""What a user may give as target and method of a question, and what is taken where nothing is given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from isotherm.cam import methods as picture_methods
from isotherm.errors import OptionError, TargetError
from isotherm.ops.names import known_method, plain
from isotherm.relevance.method import Method, checked_method, explains
from isotherm.relevance.score import Score, check_score
from isotherm.vlm import methods as methods_module
from isotherm.vlm.methods import Occlusion, Propagation
from isotherm.vlm.question import AnswerTarget, Question
from isotherm.vlm.scores import Answer, Contrast, Custom, ExpectedNumber, NextToken, Word
from isotherm.vlm.view import LanguageView

TARGETS = "count, answer (a map per word), whole, token, next, word:WORD"
COUNTS = re.compile(r"\b(how many|count|number of|combien|wie viele|cu[aá]nt[oa]s)\b", re.IGNORECASE)


@dataclass(frozen=True)
class NumberOrAnswer(ExpectedNumber):
    """The expected number, or the whole answer where it has no number, which a note then says."""

    def __call__(self, question: Question) -> list[AnswerTarget]:
        with suppress(TargetError):
            return super().__call__(question)
        targets = Answer()(question)  # refused, where the model says nothing
        note = f"the prompt asks how many and the answer {question.words()!r} has no number, so the maps are of the answer itself"
        return [replace(target, note=note) for target in targets]


def answer_score(
    target: Any, prompt: str, *, answer: str | None = None, versus: str | None = None
) -> tuple[Score, str | None]:
    """A score, and a line that says why it was chosen where it was.

    Args:
        target: None, one of :data:`TARGETS`, a score of :mod:`isotherm.vlm.scores`, or a function of the logits.
        answer: what the model is made to say.
        versus: another answer that it is contrasted with.

    Raises:
        OptionError: no such target, or things that do not go together.
    """
    if versus is not None:
        if target is not None or answer is None:
            raise OptionError("versus contrasts two answers: give answer= and versus=, and no target")
        return Contrast(answer, versus), None
    if target is None:
        if answer is None and COUNTS.search(prompt):
            return NumberOrAnswer(), "target: count, because the prompt asks how many"
        return Answer(answer), "target: whole, the log p of the whole answer"
    if isinstance(target, str):
        return _named(target, answer), None
    if isinstance(target, Score):
        check_score(target, "answers")
        return target, None
    if callable(target):
        return Custom(target, text=answer or ""), None  # a function of the logits
    raise OptionError(
        f"target is a {type(target).__name__}; expected {TARGETS}, a score such as ExpectedNumber(), or a function of the logits"
    )


def _named(target: str, answer: str | None) -> Score:
    name, colon, word = target.partition(":")
    if name == "word" and word:
        return Word(word, text=answer)
    known: dict[str, Score] = {
        "count": ExpectedNumber(),
        "answer": Answer(answer, per="word"),
        "whole": Answer(answer),
        "token": Answer(answer, per="token"),
        "next": NextToken(answer),
    }
    if colon or name not in known:
        raise OptionError(f"target {target!r}: a question's targets are {TARGETS}")
    if name == "count" and answer is not None:
        raise OptionError(
            "target count is about every number that the model might say, so it takes no answer; take the target whole"
        )
    return known[name]


def token_methods(chosen: Any, view: LanguageView | None = None) -> tuple[list[Method], str | None]:
    """Methods by name or as they are; without any, the one that did best in ``bench/vlm.py``.

    Args:
        view: of the model, if it is open: one that says by ``placeless`` why its vision tokens are not known to stand
            for places can only have its pixels covered.
    """
    if chosen is None and getattr(view, "placeless", False):
        return [Occlusion()], (
            "method: occlusion, which covers pixels: it is not known which pixels this model's vision tokens stand for"
        )
    if chosen is None:
        return (
            [Propagation()],
            "method: propagation, whose maps lie best on the evidence in our comparison; attention_gradient takes half the time",
        )
    several: Sequence[Any] = [chosen] if isinstance(chosen, str) or not isinstance(chosen, Sequence) else chosen
    return [_method(m) if isinstance(m, str) else checked_method(m) for m in several], None


def answer_methods() -> dict[str, Method]:
    """Ready-made methods for answers by name: those for answers alone, and those of pictures whose formula fits
    both.
    """
    own: dict[str, Method] = {m.name: m for m in (getattr(methods_module, n)() for n in methods_module.__all__)}
    names = {plain(name) for name in own}
    both = {n: getattr(picture_methods, n) for n in picture_methods.ALL if plain(n) not in names}
    return own | {name: method for name, method in both.items() if explains(method, "answers")}


def _method(name: str) -> Method:
    methods = answer_methods()
    return methods[known_method(name, list(methods), of=" for language models")]
