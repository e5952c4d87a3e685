"""Scores of words that the model says, or is made to say: a token, a word, a span or a whole answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from isotherm.errors import OptionError, TargetError
from isotherm.vlm.question import AnswerScore, AnswerTarget, Question, Value
from isotherm.vlm.words import note_unknown_words

Of = Literal["log_prob", "logit"]
MOST = 64
"""Tokens of an answer, at most."""


@dataclass(frozen=True)
class NextToken(AnswerScore):
    """The token that comes next: the likeliest one, or a given word's first.

    Args:
        text: a word; None: what the model finds likeliest.
        of: its logit or log p.
    """

    text: str | None = None
    of: Of = "logit"

    def __call__(self, question: Question) -> list[AnswerTarget]:
        _check_of(self.of)
        token = int(question.logits().argmax()) if self.text is None else encoded(question, self.text)[0]
        word = question.view.vocabulary.decode([token]) or f"token {token}"
        return [
            AnswerTarget(
                f"{self.of} of {word.strip()!r} next",
                ((),),
                steps_value({0: token}, self.of),
                ((0, 0),),
                (token,),
                self.text,
                of=self.of,
            )
        ]


@dataclass(frozen=True)
class Answer(AnswerScore):
    """The answer, teacher-forced in one forward pass: the sum over its tokens.

    Args:
        text: an answer; None: the model's own.
        per: one map for the whole ``answer``, for each ``word`` or for each ``token``.
        of: log p or logit of each token.
        most: tokens of the model's own answer.

    Raises:
        TargetError: the model says nothing.
    """

    text: str | None = None
    per: Literal["answer", "word", "token"] = "answer"
    of: Of = "log_prob"
    most: int = MOST

    def __call__(self, question: Question) -> list[AnswerTarget]:
        _check_of(self.of)
        if self.per not in ("answer", "word", "token"):
            raise OptionError(f"per is {self.per!r}; expected answer, word or token")
        tokens = answer_tokens(question, self.text, self.most)
        whole = question.view.vocabulary.decode(tokens).strip()
        if self.per == "answer":
            groups = [(whole, range(len(tokens)))]
        elif self.per == "token":
            groups = [
                (question.view.vocabulary.decode([t]).strip() or f"token {t}", range(i, i + 1))
                for i, t in enumerate(tokens)
            ]
        else:
            groups = words_of(question, tokens)
        return [_steps_target(text, tokens, steps, self.of, whole, self.text) for text, steps in groups]


@dataclass(frozen=True)
class Word(AnswerScore):
    """One word of the answer.

    Args:
        word: as it stands there; case and punctuation around it do not count.
        number: which of several, from 0.
        text, of: as of :class:`Answer`.
    """

    word: str
    number: int = 0
    text: str | None = None
    of: Of = "log_prob"

    def __call__(self, question: Question) -> list[AnswerTarget]:
        tokens = answer_tokens(question, self.text, MOST)
        whole = question.view.vocabulary.decode(tokens).strip()
        matches = [(text, steps) for text, steps in words_of(question, tokens) if _bare(text) == _bare(self.word)]
        if not 0 <= self.number < len(matches):
            has = f"has the word {self.word!r} {len(matches)} time(s), so there is none with number {self.number}"
            raise TargetError(
                f"the answer {whole!r} {has if matches else f'does not have the word {self.word!r}; take one that it has'}"
            )
        return [_steps_target(*(matches[self.number][0], tokens, matches[self.number][1]), self.of, whole, self.text)]


@dataclass(frozen=True)
class Span(AnswerScore):
    """Some of the answer's tokens.

    Args:
        start, stop: numbers of the tokens, from 0, ``stop`` not included.
        text, of: as of :class:`Answer`.
    """

    start: int
    stop: int
    text: str | None = None
    of: Of = "log_prob"

    def __call__(self, question: Question) -> list[AnswerTarget]:
        tokens = answer_tokens(question, self.text, MOST)
        if not 0 <= self.start < self.stop <= len(tokens):
            raise TargetError(f"the answer has {len(tokens)} tokens; {self.start} to {self.stop} is no part of it")
        whole = question.view.vocabulary.decode(tokens).strip()
        return [
            _steps_target(
                question.view.vocabulary.decode(tokens[self.start : self.stop]).strip(),
                tokens,
                range(self.start, self.stop),
                self.of,
                whole,
                self.text,
            )
        ]


def encoded(question: Question, text: str) -> tuple[int, ...]:
    """The tokens of a text; refused where the model's vocabulary has no word for it."""
    tokens = tuple(question.view.vocabulary.encode(text))
    word = question.view.vocabulary.decode(tokens)
    if not tokens or not word.strip():
        raise TargetError(
            f"the vocabulary of {question.view.name} has no tokens for {text!r}; give a word that it can say"
        )
    return tokens


def answer_tokens(question: Question, text: str | None, most: int) -> tuple[int, ...]:
    """The tokens of a given answer, or of the model's own."""
    tokens = question.answer(most=most) if text is None else encoded(question, text)
    if not tokens:
        why = "".join(f"; {line}" for line in note_unknown_words(question.view, question.prompt.text))
        raise TargetError(
            f"{question.view.name} says nothing to {question.prompt.text!r}{why}; or give it an answer to explain"
        )
    return tokens


def words_of(question: Question, tokens: tuple[int, ...]) -> list[tuple[str, range]]:
    """The words of an answer, each with the numbers of its tokens: a word begins where the text has a space."""
    decode = question.view.vocabulary.decode
    starts, before = [], ""
    for i in range(len(tokens)):
        now = decode(tokens[: i + 1])
        new = now[len(before) :] if now.startswith(before) else now
        if i == 0 or new[:1].isspace() or before[-1:].isspace():
            starts.append(i)
        before = now
    ends = [*starts[1:], len(tokens)]
    return [
        (decode(tokens[i:j]).strip() or f"token {tokens[i]}", range(i, j)) for i, j in zip(starts, ends, strict=True)
    ]


def steps_value(wanted: dict[int, int], of: Of) -> Value:
    """Sum over steps of the logit or log p of a token, of the first row."""

    def value(rows: Sequence[Tensor]) -> Tensor:
        logits = rows[0] if of == "logit" else torch.log_softmax(rows[0], -1)
        return torch.stack([logits[step, token] for step, token in wanted.items()]).sum()

    return value


def _steps_target(
    text: str, tokens: tuple[int, ...], steps: range, of: Of, whole: str, forced: str | None
) -> AnswerTarget:
    label = f"{of} of {text!r}" + (f" in {whole!r}" if text != whole else "")
    # what comes behind the last token that is read changes nothing
    return AnswerTarget(
        label,
        (tokens[:-1],),
        steps_value({i: tokens[i] for i in steps}, of),
        tuple((0, i) for i in steps),
        tuple(tokens[i] for i in steps),
        forced,
        of=of,
    )


def _bare(word: str) -> str:
    return word.strip().strip(".,;:!?\"'()[]").casefold()


def _check_of(of: str) -> None:
    if of not in ("log_prob", "logit"):
        raise OptionError(f"of is {of!r}; expected log_prob or logit")
