"""A score of the user's own: any differentiable function of the prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from isotherm.cam.trace import Targets
from isotherm.cam.view import Inputs, Prediction
from isotherm.errors import TargetError
from isotherm.relevance.score import Score


@dataclass(frozen=True)
class Function(Score):
    """A function of the prediction that returns one number per picture, (b,), with its graph.

    Example:
        >>> spread = Function(lambda p: p.logits.logsumexp(1), label="log-partition")
    """

    function: Callable[[Prediction], Tensor]
    label: str = "score"

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        scores = self.function(prediction)
        if not isinstance(scores, Tensor) or scores.shape != (len(inputs),):
            shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise TargetError(
                f"the score function returned {shape}; expected one number per picture, a tensor of shape ({len(inputs)},)"
            )

        def read(p: Prediction, target: Tensor) -> Tensor:
            return self.function(p)

        everything = torch.arange(len(inputs))
        return Targets(scores, everything, (self.label,) * len(everything), read)
