"""A score of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from isotherm.errors import TargetError
from isotherm.vlm.question import AnswerScore, AnswerTarget, Question
from isotherm.vlm.scores.answer import encoded


@dataclass(frozen=True)
class Custom(AnswerScore):
    """Any differentiable function of the logits.

    Args:
        function: (k + 1, v) float32 logits, for the token after the prompt and after each of the k tokens of ``text``
            -> one number.
        text: tokens that are given to the model behind the prompt.
        label: what the map is of.
    """

    function: Callable[[Float[Tensor, "k v"]], Tensor]
    text: str = ""
    label: str = "own score"

    def __call__(self, question: Question) -> list[AnswerTarget]:
        forced = encoded(question, self.text) if self.text else ()
        logits = question.logits(forced)
        value = self.function(logits)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise TargetError(
                f"the score's function gives {type(value).__name__} {tuple(getattr(value, 'shape', ()))}; expected one number as a tensor"
            )
        likeliest = tuple(int(t) for t in logits.argmax(-1))
        steps = tuple((0, i) for i in range(len(forced) + 1))
        return [
            AnswerTarget(
                self.label,
                (forced,),
                lambda rows: self.function(rows[0]).reshape(()),
                steps,
                likeliest,
                self.text or None,
                words=False,
            )
        ]
