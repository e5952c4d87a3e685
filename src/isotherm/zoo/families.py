"""The models that ship with isotherm, and the one that a package brings, as families."""

from __future__ import annotations

import re
from typing import Any

from isotherm.models.family import Family, Fit, Match


def _named(pattern: str, what: str, *, wrapped: str = "") -> Any:
    """Matches names of a pattern, and objects of the class ``module:class``, which nobody has whose module was never
    imported.
    """
    module, _, cls = wrapped.partition(":")

    def matches(model: Any) -> Match | None:
        if isinstance(model, str):
            return Match(Fit.OWN, what) if re.fullmatch(pattern, model) else None
        if any((base.__module__, base.__name__) == (module, cls) for base in type(model).__mro__):
            return Match(Fit.OWN, f"{type(model).__name__} is a network of isotherm's own")
        return None

    return matches


SCENES = Family(
    name="scenes",
    matches=_named(
        r"scenes(-?\d+)?",
        "the small classifier of generated scenes that ships with isotherm",
        wrapped="isotherm.zoo.scenes.network:SceneNet",
    ),
    load="isotherm.zoo.scenes.view:load",
    wrap="isotherm.zoo.scenes.view:wrap",
    names=lambda: ("scenes",),
    shipped=True,
)
DETECTOR = Family(
    name="detector",
    matches=_named(
        r"detector(-?\d+)?",
        "the small heatmap detector of generated scenes that ships with isotherm",
        wrapped="isotherm.zoo.detector.network:HeatmapDetector",
    ),
    load="isotherm.zoo.detector.view:load",
    wrap="isotherm.zoo.detector.view:wrap",
    names=lambda: ("detector",),
    shipped=True,
)
TINY_VLM = Family(
    name="tiny-vlm",
    matches=_named(r"tiny-vlm(-\d+)?", "the small vision-language model of generated shapes that ships with isotherm"),
    load="isotherm.zoo.tiny_vlm.view:load",
    names=lambda: ("tiny-vlm",),
    shipped=True,
)
IMAGENET = Family(
    name="imagenet",
    matches=_named(
        "imagenet", "EfficientNet-Lite0, trained on ImageNet's photographs, with the weights of an installed package"
    ),
    load="isotherm.zoo.imagenet.view:load",
    names=lambda: ("imagenet",),
)
