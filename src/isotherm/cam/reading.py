"""Reading what a model put out through its view, with what it put out kept beside what the view makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from isotherm.cam.view import Inputs, Pins, Prediction, View
from isotherm.relevance.score import Score


def read_prediction(view: View, raw: Any, inputs: Inputs, pins: Pins | None = None) -> Prediction:
    """What a view makes of the output of a model, with that output beside it for functions that read it themselves.

    Args:
        view: of the model.
        raw: what ``view.run`` gave.
        inputs: what the model was fed.
        pins: findings that are to be read again.
    """
    prediction = view.find(raw, inputs) if pins is None else view.refind(raw, inputs, pins)
    return prediction if prediction.raw is not None else replace(prediction, raw=raw)


@runtime_checkable
class ChoosesByScore(Protocol):
    """A view whose layers depend on what is explained."""

    def of_score(self, score: Score | None) -> View:
        """A view of the same model that chooses its layers for a score (None: the default)."""
        ...
