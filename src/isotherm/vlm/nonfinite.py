"""NaN and infinity between a question and its map: the picture fails, with a word on where they began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.origin import (
    HIDDEN,
    MADE,
    Origin,
    backward_origin,
    describe,
    forward_origin,
    hidden_damage,
    is_finite,
    tensors_in,
)
from isotherm.errors import NonFiniteError
from isotherm.vlm.question import Question
from isotherm.vlm.trace import TokenTrace


@contextmanager
def examined(question: Question) -> Iterator[None]:
    """Refuse pixels and vision tokens that are not finite, and look at the logits where the block ends in any other
    error.

    An answer that is read from logits without order says nothing, and the complaint that it has no number would be
    beside the point.

    Raises:
        NonFiniteError: there is NaN or infinity.
    """
    pixels = next((v for v in tensors_in(question.prompt.inputs) if not is_finite(v)), None)
    if pixels is not None:
        raise NonFiniteError(
            f"the model's input holds {describe(pixels)}, before any layer has run",
            advice="look at the mean and deviation that pictures are prepared with",
        )
    for i, stream in enumerate(question.streams):
        if not is_finite(stream):
            what = f"deepstack layer {i}'s vision tokens hold" if i else "the vision tokens hold"
            raise _failed(
                f"{what} {describe(stream)}",
                forward_origin(question.view.model, partial(question.view.embed, question.prompt)),
            )
    try:
        yield
    except NonFiniteError:
        raise
    except Exception as error:
        logits = question.logits()
        if is_finite(logits) or not bool((logits.isnan() | (logits == torch.inf)).any()):
            raise
        raise _failed(f"the logits of the next word hold {describe(logits)}", _in_language(question)) from error
    for run in (partial(question.view.embed, question.prompt), partial(_read, question)):
        hidden = hidden_damage(question.view.model, run)
        if hidden is not None:
            raise _failed(HIDDEN, hidden)


def check_scores(traces: Sequence[TokenTrace]) -> None:
    """The numbers that are to be explained.

    Raises:
        NonFiniteError: one is NaN or infinite.
    """
    for trace in traces:
        score = torch.tensor(trace.score)
        if not is_finite(score):
            raise _failed(
                f"the {trace.target.label} is {trace.score}",
                _in_language(trace.question, trace.target.continuations[0]),
            )


def values_not_finite(name: str, trace: TokenTrace, values: Float[Tensor, " n"]) -> NonFiniteError:
    """The error of a method whose values are not finite though the score is."""
    first, *rest = trace.question.streams

    def read(tensor: Tensor) -> Tensor:
        return trace.question.values([trace.target], (tensor, *rest), batch=1)[0, 0]

    origin = backward_origin(trace.question.view.model, first, read)
    return _failed(
        f"the map of {name} for the {trace.target.label} holds {describe(values)}",
        origin,
        f"the score and its gradient are finite, so the sums of {name} overflow",
    )


def _in_language(question: Question, continuation: tuple[int, ...] = ()) -> Origin | None:
    return forward_origin(question.view.model, partial(_read, question, continuation))


def _read(question: Question, continuation: tuple[int, ...] = ()) -> object:
    continuations = torch.tensor([list(continuation)], dtype=torch.long).view(1, -1)
    return question.view.read(question.prompt, question.streams, continuations)


def _failed(
    damage: str,
    origin: Origin | None,
    otherwise: str = "what every layer puts out is finite, so it arises in what is made of the model's output",
) -> NonFiniteError:
    origin = origin or Origin(otherwise, MADE)
    return NonFiniteError(f"{damage}: {origin.words}", advice=origin.advice, option=origin.option, layer=origin.layer)
