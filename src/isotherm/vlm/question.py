"""One question in work: the vision tokens, kept, and what the language model says of them or of changed ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.relevance.score import Score
from isotherm.vlm.graph import PIXELS, kept_graph, no_gradient
from isotherm.vlm.view import LanguageView, PromptInputs, Reading, Streams

Value = Callable[[Sequence[Tensor]], Tensor]
"""(k + 1, v) logits of each continuation that is read, in float32 -> one number, with graph."""

SHOWN = 16
"""Tokens of an answer that nobody needs but a person who wants to know what was answered."""
ROWS = 32
"""Versions of a prompt per forward pass, unless told; fewer where they are long."""
FEW, SHARE = 4, 8
"""Versions, and the part of the prompt (an eighth), from which on what they share is read once."""
CELLS = 1 << 23
"""Tokens x width that one pass may hold per layer."""


@dataclass(frozen=True, eq=False)
class AnswerTarget:
    """Something to explain: a number that is read from what the model says.

    Args:
        label: of what, in words.
        continuations: tokens behind the prompt that are given to the model, one row each; often one, often empty.
        read: the number, of the logits of these rows.
        steps: (row, step) of the logits that it reads: those queries' attention is what it looked at.
        tokens: the token that is looked for at each of the steps.
        forced: an answer that the model is made to say, where it is not its own.
        note: what a person should know about how this came to be explained.
        of: what the number is of, ``log_prob`` or ``logit``, where it is a sum of those.
        words: the number speaks for the tokens; that of a function of one's own may speak for anything.
    """

    label: str
    continuations: tuple[tuple[int, ...], ...]
    read: Value
    steps: tuple[tuple[int, int], ...]
    tokens: tuple[int, ...]
    forced: str | None = None
    note: str = ""
    of: str | None = None
    words: bool = True

    @property
    def labels(self) -> tuple[str, ...]:
        """The label, as targets of pictures have several."""
        return (self.label,)


class AnswerScore(Score):
    """What of an answer to explain: chooses targets in what a model says, or is made to say, to a question."""

    explains: ClassVar[Literal["pictures", "answers"]] = "answers"

    @abstractmethod
    def __call__(self, question: Question) -> list[AnswerTarget]:
        """The targets, in the order of the answer; TargetError where there is no such thing."""


@dataclass(eq=False)
class Question:
    """A question whose vision tokens are computed once.

    Args:
        view: the model.
        prompt: the question, processed.
        streams: its vision tokens, b = 1, without graph.
        forwards: rows that the language model has read so far.
        notes: what a person should know of these passes; the keys of a dictionary, in order.
    """

    view: LanguageView
    prompt: PromptInputs
    streams: Streams
    forwards: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    _logits: dict[tuple[int, ...], Tensor] = field(default_factory=dict)
    _answer: tuple[tuple[int, ...], int] | None = None
    _tower: tuple[Tensor, Streams] | None = None

    @classmethod
    def of(cls, view: LanguageView, prompt: PromptInputs, *, tower: bool = False) -> Question:
        """Compute the vision tokens.

        Args:
            tower: keep their graph for :meth:`tower`, so that the vision tower need not run again.
        """
        if not tower:
            return cls(view, prompt, view.embed(prompt))
        notes: dict[str, None] = {}
        grown = _grown(view, prompt, notes)
        return cls(view, prompt, tuple(s.detach() for s in grown[1]), notes=notes, _tower=grown)

    def tower(self) -> tuple[Tensor, Streams]:
        """The pixels, and the vision tokens with their graph from them, in which norms' divisors are constants. It is
        given away, and goes when the caller is done.
        """
        grown, self._tower = self._tower, None
        return _grown(self.view, self.prompt, self.notes) if grown is None else grown

    @property
    def tokens(self) -> int:
        """How many vision tokens there are."""
        return len(self.prompt.positions)

    def answer(self, *, most: int = 64) -> tuple[int, ...]:
        """What the model itself says, greedily; it is generated again only where what is known was cut short."""
        if self._answer is None or len(self._answer[0]) == self._answer[1] < most:
            self._answer = tuple(self.view.answer(self.prompt, most=most)), most
        return self._answer[0][:most]

    def words(self) -> str:
        """What the model itself says, as text; at least its beginning, which ends with three dots where more would
        follow.
        """
        tokens, most = (self.answer(most=SHOWN), SHOWN) if self._answer is None else self._answer
        return self.view.vocabulary.decode(tokens).strip() + (" ..." if len(tokens) == most else "")

    def says(self, text: str) -> bool:
        """Whether the model's own answer is a text, or begins with its words."""
        own, text = (" ".join(t.split()).casefold() for t in (self.words(), text))
        if own.endswith(" ...") and text.startswith(own.removesuffix(" ...")):
            return True
        return own.startswith(text) and not (own[len(text) :][:1].isalnum() and text[-1:].isalnum())

    def again(self, prompt: str) -> Question:
        """Another question about the same pictures, whose vision tokens are those of this one."""
        video = self.prompt.video
        inputs = (
            self.view.ask(self.prompt.sources, prompt)
            if video is None
            else self.view.ask_video(video[0], prompt, fps=video[1])
        )
        return Question(self.view, inputs, self.streams)

    def prompt_tokens(self) -> tuple[int, ...]:
        """The prompt's tokens that say something, without the vision tokens and the template's marks."""
        pictured = set(self.prompt.positions.tolist())
        texts = self.view.vocabulary.texts()
        return tuple(
            t
            for i, t in enumerate(self.prompt.ids.tolist())
            if i not in pictured and t < len(texts) and texts[t].strip()
        )

    def logits(self, continuation: Sequence[int] = ()) -> Float[Tensor, "k v"]:
        """For the token after the prompt and after each of the continuation, in float32, without graph."""
        key = tuple(continuation)
        if key not in self._logits:
            with torch.no_grad():
                self._logits[key] = (
                    self.read(self.streams, [key]).logits[0].float().detach()
                )  # a model may put gradients on by itself
        return self._logits[key]

    def known_logits(self, continuation: Sequence[int], logits: Float[Tensor, "k v"]) -> None:
        """Take what :meth:`logits` would give from who has read it already, with other questions."""
        self._logits[tuple(continuation)] = logits.detach()

    def read(
        self,
        streams: Streams,
        continuations: Sequence[tuple[int, ...]],
        *,
        hidden: Bool[Tensor, "b n"] | None = None,
        shared: int = 0,
    ) -> Reading:
        """The language model on continuations of one length, one row each."""
        self.forwards += len(continuations)
        tokens: Int[Tensor, "b k"] = torch.tensor([list(c) for c in continuations], dtype=torch.long).view(
            len(continuations), -1
        )
        return self.view.read(self.prompt, streams, tokens, hidden=hidden, shared=shared)

    def _alike(self, streams: Streams) -> int:
        """How many tokens of the prompt come before the first in which these versions differ, if it pays to read them
        once.
        """
        if torch.is_grad_enabled() or not self.view.shares or len(streams[0]) < FEW:
            return 0
        differs = torch.stack([(s != s[:1]).any(-1).any(0) for s in streams]).any(0).nonzero().flatten()
        if not len(differs):
            return 0  # all alike: somebody measures noise, and shall have it
        alike = int(self.prompt.positions[int(differs[0])])
        return alike if alike * SHARE >= len(self.prompt.ids) else 0

    def values(
        self,
        targets: Sequence[AnswerTarget],
        streams: Streams,
        *,
        hidden: Bool[Tensor, "b n"] | None = None,
        batch: int | None = None,
    ) -> Float[Tensor, "b t"]:
        """Every target's number for b versions of the vision tokens, in whatever grad mode is on.

        Args:
            hidden: vision tokens of each version that nobody may attend to.
            batch: rows per forward pass.
        """
        rows = list(dict.fromkeys(c for s in targets for c in s.continuations))
        versions = len(streams[0])
        most = batch or max(
            1, min(ROWS, CELLS // (streams[0].shape[-1] * max(1, len(self.prompt.ids) + max(map(len, rows)))))
        )
        logits: dict[tuple[int, ...], list[Tensor]] = {}
        for row in rows:
            parts: list[Tensor] = []
            for i in range(0, versions, most):
                some = tuple(s[i : i + most] for s in streams)
                shared = 0 if hidden is not None else self._alike(some)
                part = self.read(
                    some, [row] * len(some[0]), hidden=None if hidden is None else hidden[i : i + most], shared=shared
                )
                parts.extend(part.logits.float().unbind(0))
            logits[row] = parts
        return torch.stack(
            [torch.stack([s.read([logits[c][i] for c in s.continuations]) for s in targets]) for i in range(versions)]
        )


def _grown(view: LanguageView, prompt: PromptInputs, notes: dict[str, None]) -> tuple[Tensor, Streams]:
    with torch.inference_mode(False), torch.enable_grad():
        pixels = view.pixels(prompt).detach().clone().requires_grad_()
        with kept_graph(view.model, notes, start=PIXELS) as keeper:
            streams = view.embed_pixels(prompt, pixels.clone())  # a model may change its input in place
    if not any(s.requires_grad for s in streams):
        raise no_gradient("the vision tokens have", PIXELS, keeper.breaks, [pixels])
    return pixels, streams
