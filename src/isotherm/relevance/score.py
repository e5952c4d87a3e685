"""The score: what to explain, of a prediction or of an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from torch import Tensor

from isotherm.errors import OptionError


@runtime_checkable
class Target(Protocol):
    """What a score chose: numbers to explain, pinned, so that changed inputs and other weights are asked for the very
    same.

    :class:`isotherm.cam.trace.Targets` holds those of a batch of pictures,
    :class:`isotherm.vlm.question.AnswerTarget` one of an answer.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """What each number is, in one line for people."""
        ...

    @property
    def of(self) -> str | None:
        """What the numbers are by nature, such as ``logit`` or ``log_prob``, where they are one of those or a sum of
        them.
        """
        ...

    @property
    def read(self) -> Callable[..., Tensor]:
        """The same numbers from what the model says to a changed input, with their graph."""
        ...


class Score(ABC):
    """What to explain: chooses targets in what a model says. Frozen, and worth printing: its repr goes into provenance.

    A score of pictures is called with the prediction and the inputs (:mod:`isotherm.cam.scores`), one of answers with
    the question (:class:`isotherm.vlm.question.AnswerScore`).

    Attributes:
        explains: ``pictures`` (and clips), or ``answers``.
    """

    explains: ClassVar[Literal["pictures", "answers"]] = "pictures"

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The targets in what the model says.

        Raises:
            TargetError: there is no such thing.
        """


def check_score(score: Score, explains: Literal["pictures", "answers"]) -> None:
    """Refuse a score of the other kind.

    Raises:
        OptionError: a score of answers without a question, or a score of pictures with one.
    """
    if score.explains == explains:
        return
    name = type(score).__name__
    if score.explains == "answers":
        raise OptionError(f"{name} is a score of answers; give a prompt, the question that is answered")
    raise OptionError(
        f"{name} is a score of what a model says of a picture by itself; with a prompt give a score of answers, such as ExpectedNumber()"
    )
