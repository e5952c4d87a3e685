"""A score of the user's own: any differentiable function of the prediction, or of what the model itself put out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from isotherm.cam.outputs import how_to_read, words_of
from isotherm.cam.trace import Targets
from isotherm.cam.view import Inputs, Prediction, RawOutput
from isotherm.errors import IsothermError, TargetError
from isotherm.ops.names import known_word
from isotherm.relevance.score import Score

Of = Literal["prediction", "output"]


@dataclass(frozen=True)
class Function(Score):
    """A function that returns one number per picture, (b,), with its graph.

    A function that returns a single number, shape (), reads one picture; changed versions of it then go through the
    model one after another.

    Args:
        function: of one argument, see ``of``; of two, it is given what the model itself put out and then the
            prediction, None where isotherm does not read this model's output.
        label: of the map.
        of: what a function of one argument is given: the prediction, or what the model itself put out. Of a model
            whose output isotherm does not read there is only the latter.

    Example:
        >>> spread = Function(lambda p: p.logits.logsumexp(1), label="log-partition")
        >>> strongest = Function(lambda out: out["boxes"][:, :, 4].amax(1), of="output")
    """

    function: Callable[..., Tensor]
    label: str = "score"
    of: Of = "prediction"

    def __post_init__(self) -> None:
        known_word(self.of, get_args(Of), "of")

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        scores = self.of_output(prediction)
        if not isinstance(scores, Tensor):
            raise self._unfit(f"a {type(scores).__name__}", prediction, len(inputs))
        alone = scores.ndim == 0
        if scores.numel() != len(inputs) or not (alone or len(scores) == len(inputs)):
            raise self._unfit(f"a tensor of shape {tuple(scores.shape)}", prediction, len(inputs))
        if not scores.is_floating_point():
            raise TargetError(
                f"the target function returned {words_of(scores)}; expected real numbers with their graph: a count or an index has no gradient"
            )

        def read(p: Prediction, target: Tensor) -> Tensor:
            return self.of_output(p).reshape(-1)

        everything = torch.arange(len(inputs))
        return Targets(scores.reshape(-1), everything, (self.label,) * len(everything), read, of="value", alone=alone)

    def of_output(self, prediction: Prediction) -> Any:
        """What the function returns.

        Raises:
            TargetError: it fails; the message says what it was given.
        """
        known = None if isinstance(prediction, RawOutput) else prediction
        arguments: tuple[Any, ...]
        if positional_count(self.function) > 1:
            arguments = (prediction.raw, known)
        else:
            arguments = (prediction.raw if self.of == "output" or known is None else known,)
        try:
            return self.function(*arguments)
        except (IsothermError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a function of one's own raises anything at all
            first = (str(error).strip().splitlines() or [""])[0][:200]
            raise TargetError(
                f"the target function failed ({type(error).__name__}: {first}); it was given {self._what(prediction)}"
            ) from error

    def _what(self, prediction: Prediction) -> str:
        raw = f"what the model put out, {words_of(prediction.raw)}"
        if isinstance(prediction, RawOutput) or (self.of == "output" and positional_count(self.function) < 2):
            return raw
        kind = f"the prediction, a {type(prediction).__name__}"
        if positional_count(self.function) > 1:
            return f"{raw}, and {kind}"
        return f"{kind}; a function of two arguments, such as lambda out, prediction: ..., is also given {raw}"

    def _unfit(self, what: str, prediction: Prediction, count: int) -> TargetError:
        advice = "" if not isinstance(prediction, RawOutput) else f"; {how_to_read(prediction.raw)}"
        if what.endswith("shape ()"):
            advice = "; keep the first dimension, such as .amax(1) in place of .max(), or explain one picture at a time (batch=1)"
        return TargetError(
            f"the score function returned {what}; expected one number per picture, a tensor of shape ({count},){advice}"
        )


def positional_count(function: Callable[..., Any]) -> int:
    """How many arguments a function must be given; 1 where nobody can tell.

    Example:
        >>> positional_count(lambda out, prediction: 0), positional_count(lambda out, k=3: 0)
        (2, 1)
    """
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # functions of C have none
        return 1
    places = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in places and p.default is Parameter.empty for p in parameters)
