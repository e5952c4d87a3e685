"""torchvision's models."""

from __future__ import annotations

from typing import Any

from isotherm.models.family import Family, Fit, Match, class_match


def matches(model: Any) -> Match | None:
    """Names of its registry; its classes."""
    if isinstance(model, str):
        return Match(Fit.NAMED, f"{model} is a torchvision model") if FAMILY.is_installed and model in names() else None
    return class_match(model, "torchvision")


def names() -> list[str]:
    """Names of torchvision's registry."""
    import torchvision

    return torchvision.models.list_models()


FAMILY = Family(
    name="torchvision",
    matches=matches,
    load="isotherm.models.torchvision.view:load",
    wrap="isotherm.models.torchvision.view:wrap",
    package="torchvision",
    extra="models",
    names=names,
    surest_name=Fit.NAMED,
)
