"""What a view takes for granted of its input and its class names, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from isotherm.cam.premises import Premise, Source
from isotherm.models.shared.preprocess import Preprocess

IMAGENET_COLOURS = (((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
"""Means and deviations that networks of ImageNet are fed with: those of its pixels, and those of the Inception networks."""
CAN_BE_GIVEN = "size, mean, std and geometry can be given"
NAMES_CAN_BE_GIVEN = "names can be given"


def input_premises(preprocess: Preprocess, *, source: Source, why: str, **given: Any) -> tuple[Premise, ...]:
    """What a model is fed: what the user gave, and the rest with where it comes from.

    Args:
        source, why: of what was not given. given: size, mean, std and geometry, as the user gave them or None.
    """
    words = _words(preprocess)
    theirs = [words.pop(name) for name, value in given.items() if value is not None]
    if source == "assumed" and all(given.get(name) is not None for name in ("size", "mean", "std")):
        source, why = (
            "default",
            "geometry can be given",
        )  # what is left is how a picture is fitted, which is no claim about the model
    found = [Premise(about="input", value=", ".join(theirs), source="given")] if theirs else []
    return (*found, Premise(about="input", value=", ".join(words.values()), source=source, why=why))


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
        about: which of them. unless: what holds whatever the weights are, by its reason.
    """
    return tuple(
        replace(p, source="assumed", why=why) if p.about == about and p.source == "declared" and p.why != unless else p
        for p in premises
    )


def fed_as_imagenet(preprocess: Preprocess) -> bool:
    """True where the colours are normalised as those of networks that were trained on ImageNet."""
    return (preprocess.mean, preprocess.std) in IMAGENET_COLOURS


def _words(preprocess: Preprocess) -> dict[str, str]:
    (h, w), (rows, columns) = preprocess.size, preprocess.resize or preprocess.size
    return {
        "size": f"shorter side {min(rows, columns)} pixels"
        if preprocess.geometry == "shorter"
        else f"{h} x {w} pixels",
        "geometry": {
            "crop": f"scaled to cover {rows} x {columns} and cut in the centre",
            "squash": f"stretched to {rows} x {columns}"
            + ("" if (rows, columns) == (h, w) else " and cut in the centre"),
            "letterbox": f"scaled to fit into {rows} x {columns}, the rest filled with the mean colour",
            "shorter": "nothing cut off",
        }[preprocess.geometry],
        "interpolation": preprocess.interpolation,
        "mean": f"mean {numbers(preprocess.mean)}",
        "std": f"std {numbers(preprocess.std)}",
    }


def numbers(values: Sequence[float]) -> str:
    """A few numbers in a line of words."""
    return " ".join(f"{v:.4g}" for v in values)
