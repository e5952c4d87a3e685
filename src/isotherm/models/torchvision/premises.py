"""What torchvision's models take for granted of their class names, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isotherm.cam.premises import Premise
from isotherm.models.shared.classifier import numbered
from isotherm.models.shared.premises import names_premise

OWN_TRANSFORM = "the model's own transform"
"""Who declares a detector's input: a part of the model, whatever its weights are."""


def names_of(count: int, weights: Any, defaults: Mapping[int, Any]) -> tuple[list[str], tuple[Premise, ...]]:
    """Class names, and whose they are: the weights' if their number fits, else those of the data set with that number
    of classes.

    Args:
        defaults: number of classes -> (name of a data set, weights that were trained on it).
    """
    categories = None if weights is None else weights.meta.get("categories")
    if categories is not None and count == len(categories):
        return list(categories), (
            Premise(
                about="class names", value=f"the {len(categories)} of {weights}", source="declared", why="these weights"
            ),
        )
    if count in defaults:
        data_set, trained = defaults[count]
        return list(trained.meta["categories"]), (names_premise(data_set, count),)
    return numbered(count), ()


def imagenet_names() -> list[str]:
    """The names of ImageNet's 1000 classes."""
    from torchvision.models import ResNet18_Weights

    return list(ResNet18_Weights.DEFAULT.meta["categories"])
