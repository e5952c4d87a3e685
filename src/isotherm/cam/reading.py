"""Reading what a model put out through its view, with what it put out kept beside what the view makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from isotherm.cam.clips import ClipView
from isotherm.cam.view import Inputs, Pins, Prediction, View
from isotherm.errors import MethodError
from isotherm.relevance.method import Method
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


WITHOUT = "rise, drise and occlusion need neither layers nor gradients"
"""What works for every model of pictures."""


def check_gradients(view: View, methods: Sequence[Method]) -> None:
    """Refuse methods that look into a model which cannot be looked into.

    Args:
        view: one whose model says by ``kind`` that it is such a one, and what.

    Raises:
        MethodError: such a method; the message says what works.
    """
    kind = kind_without_layers(view)
    for method in methods:
        if kind and not method.needs <= {"rerun"}:
            raise MethodError(
                f"{method.name} reads layers, and {view.name} is {kind}, which has none to look into; {what_works(view)}"
            )


def what_works(view: View) -> str:
    """What explains a model without layers or gradients."""
    return "occlusion needs neither layers nor gradients" if isinstance(view, ClipView) else WITHOUT


def kind_without_layers(view: View) -> str:
    """What a model is that cannot be looked into, in words; empty for all others."""
    return getattr(view.model, "kind", "") if hasattr(view.model, "one_by_one") else ""
