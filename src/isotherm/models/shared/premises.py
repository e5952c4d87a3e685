"""What a view takes for granted of its class names and its weights, where what it knows was declared for other ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from isotherm.cam.premises import Premise, RandomWeights, Source
from isotherm.models.shared.preprocess import CAN_BE_GIVEN

AnyView = TypeVar("AnyView", bound=Any)

NAMES_CAN_BE_GIVEN = "names can be given"


def names_premise(data_set: str, count: int, *, source: Source = "assumed", why: str | None = None) -> Premise:
    """The class names of a data set, given to a model with as many outputs."""
    return Premise(
        about="class names",
        value=f"those of {data_set}",
        source=source,
        why=why or f"the model has as many outputs, {count}; {NAMES_CAN_BE_GIVEN}",
    )


def assumed(premises: Sequence[Premise], about: str, why: str, *, unless: str = "") -> tuple[Premise, ...]:
    """Premises of which what was declared for other weights is no more than an assumption.

    Args:
        about: which of them.
        unless: what holds whatever the weights are, by its reason.
    """
    return tuple(
        replace(p, source="assumed", why=why) if p.about == about and p.source == "declared" and p.why != unless else p
        for p in premises
    )


def why_assumed(weights: str | os.PathLike[str], trained: str, own: str) -> str:
    """Why what a model is fed is no more than an assumption where its weights are not those of its package.

    Args:
        weights: as ``load`` takes them, "none" or a file.
        trained, own: what is fed so, as subject and verb, in the one case and in the other.
    """
    if weights == "none":
        return f"there are no trained weights; it is what {trained} fed"
    return f"{Path(weights).name} does not say what it was trained on; it is what {own} fed; {CAN_BE_GIVEN}"


def with_weights_named(
    view: AnyView, name: str, weights: str | os.PathLike[str], seed: int, *, package: str, own: object
) -> AnyView:
    """The view with the name of its weights, and marked where isotherm made them.

    Args:
        name: of the model.
        weights: as ``load`` takes them, "auto", "none" or a file.
        seed: of random ones.
        package: that it is of.
        own: what the package's weights are called.
    """
    if weights == "none":
        view.random_weights = RandomWeights.of(view.model, seed)
    label = "random weights" if weights == "none" else own if weights == "auto" else Path(weights).name
    view.name = f"{name} ({package}, {label})"
    return view
