"""The expected number: what a model that counts means, beyond the one number that it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from isotherm.errors import OptionError, TargetError
from isotherm.vlm.numbers import TENS, UNITS
from isotherm.vlm.question import AnswerScore, AnswerTarget, Question

WORDS = [*UNITS, TENS[0]]
LIKELY = 0.01
"""Least probability of the digits so far for what follows them to be looked at."""


@dataclass(frozen=True)
class ExpectedNumber(AnswerScore):
    """sum k p(k) / sum p(k) over the numbers that the model may say in the place where its answer has one, in digits or
    in words, of several tokens too.

    Its gradient moves with every number's probability, where that of the likeliest number vanishes as the model becomes
    sure.

    Args:
        digits: tokens of a number, at most; those behind the first are read by giving the model the ones before, where
            these are at all likely.

    Raises:
        TargetError: there is no number in the model's answer.
    """

    digits: int = 3

    def __call__(self, question: Question) -> list[AnswerTarget]:
        if self.digits < 1:
            raise OptionError(f"digits is {self.digits}; a number has at least one")
        numbers = number_tokens(question)
        if not numbers:
            raise TargetError(f"the vocabulary of {question.view.name} has no number; explain the answer instead")
        tree = self._tree(question, self._before(question, numbers), numbers)
        rows = tuple(node.row for node in tree)

        def value(logits: Sequence[Tensor]) -> Tensor:
            return _expectation(dict(zip(rows, logits, strict=True)), tree, numbers)

        p = question.logits(rows[0])[-1]
        likeliest = max(numbers, key=lambda token: float(p[token]))
        steps = tuple((i, len(row)) for i, row in enumerate(rows))
        now = float(value([question.logits(row) for row in rows]))
        return [AnswerTarget(f"expected number ({now:.2f})", rows, value, steps, (likeliest,) * len(rows))]

    def _before(self, question: Question, numbers: dict[int, str]) -> tuple[int, ...]:
        """The tokens of the answer before its number. Numbers that are likely where the model says something else are
        no count of its.
        """
        if int(question.logits()[-1].argmax()) in numbers:
            return ()
        tokens = question.answer()
        at = next((i for i, t in enumerate(tokens) if t in numbers), None)
        if at is None:
            answer = question.view.vocabulary.decode(tokens)
            raise TargetError(
                f"the model answers {answer!r}, which has no number; ask how many there are, or explain the answer"
            )
        return tokens[:at]

    def _tree(self, question: Question, before: tuple[int, ...], numbers: dict[int, str]) -> list[_Node]:
        """The rows to read, each with the tokens that its number may go on with; shorter ones first."""
        tree = [_Node(before, "", tuple(sorted(numbers)))]
        level = [(tree[0], 1.0)]
        for _ in range(self.digits - 1):
            following = []
            for node, p_here in level:
                p = torch.softmax(question.logits(node.row)[-1], -1)
                for token in node.more:
                    here = p_here * float(p[token])
                    if here >= LIKELY and (more := _more(question, (*node.row, token), numbers)):
                        following.append((_Node((*node.row, token), node.digits + numbers[token], more), here))
            tree += [node for node, _ in following]
            level = following
        return tree


@dataclass(frozen=True)
class _Node:
    """Tokens that are given, the digits among them, and the tokens that a number of these digits may go on with."""

    row: tuple[int, ...]
    digits: str
    more: tuple[int, ...]


def _expectation(logits: dict[tuple[int, ...], Tensor], tree: list[_Node], numbers: dict[int, str]) -> Tensor:
    """sum k p(k) / sum p(k), each number's probability the product of its tokens' and of not going on."""
    reached: dict[tuple[int, ...], Tensor] = {}
    nodes = {node.row for node in tree}
    mass, total = [], []
    for node in tree:
        p = torch.softmax(logits[node.row][-1], -1)
        here = p[torch.tensor(node.more, device=p.device)]
        if node.row in reached:
            # the number ends here unless it goes on
            ends, here = reached[node.row] * (1 - here.sum()), here * reached[node.row]
            mass.append(ends)
            total.append(ends * float(node.digits))
        leaves = []
        for i, token in enumerate(node.more):
            if (longer := (*node.row, token)) in nodes:
                reached[longer] = here[i]
            else:
                leaves.append(i)
        index = torch.tensor(leaves, dtype=torch.long, device=here.device)
        worth = torch.tensor(
            [float(node.digits + numbers[node.more[i]]) for i in leaves], dtype=here.dtype, device=here.device
        )
        mass.append(here[index].sum())
        total.append((here[index] * worth).sum())
    return torch.stack(total).sum() / torch.stack(mass).sum()


def number_tokens(question: Question) -> dict[int, str]:
    """Every token that is a number by itself, in digits or in words, with its digits."""
    numbers = {}
    for i, text in enumerate(question.view.vocabulary.texts()):
        bare = text.strip()
        if bare.isascii() and bare.isdigit() and len(bare) <= 6:
            numbers[i] = bare
        elif bare.casefold() in WORDS:
            numbers[i] = str(WORDS.index(bare.casefold()))
    return numbers


def _more(question: Question, row: tuple[int, ...], numbers: dict[int, str]) -> tuple[int, ...]:
    """Tokens that go on with the number at the end of a row: digits that stand next to its own, without a space."""
    vocabulary = question.view.vocabulary
    texts, so_far = vocabulary.texts(), vocabulary.decode(row)
    if not so_far[-1:].isdigit():
        return ()
    return tuple(
        t
        for t in numbers
        if texts[t].isascii() and texts[t].isdigit() and vocabulary.decode((*row, t)) == so_far + texts[t]
    )
