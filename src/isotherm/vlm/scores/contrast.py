"""Why this word rather than that one."""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.errors import TargetError
from isotherm.vlm.question import AnswerScore, AnswerTarget, Question
from isotherm.vlm.scores.answer import encoded


@dataclass(frozen=True)
class Contrast(AnswerScore):
    """log p(a) - log p(b) where the two answers first differ; what both have in common is given to the model.

    Args:
        a, b: answers. One may go on where the other ends; then the end is what it is contrasted with.
    """

    a: str
    b: str

    def __call__(self, question: Question) -> list[AnswerTarget]:
        a, b = encoded(question, self.a), encoded(question, self.b)
        ends = sorted(question.view.vocabulary.ends)
        if ends:
            a, b = (*a, ends[0]), (*b, ends[0])
        same = 0
        while same < min(len(a), len(b)) and a[same] == b[same]:
            same += 1
        if same == len(a) or same == len(b):
            raise TargetError(
                f"{self.a!r} and {self.b!r} are the same tokens to {question.view.name}; contrast two answers that differ"
            )
        first, second = a[same], b[same]
        # the normaliser is the same for both, so logits do
        return [
            AnswerTarget(
                f"{self.a!r} rather than {self.b!r}",
                (a[:same],),
                lambda rows: rows[0][same, first] - rows[0][same, second],
                ((0, same),),
                (first,),
                self.a,
            )
        ]
