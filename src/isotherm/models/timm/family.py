"""timm's image models."""

from __future__ import annotations

from typing import Any

from isotherm.models.family import Family, Fit, Match, class_match


def matches(model: Any) -> Match | None:
    """Names of its registry, which torchvision may have as well; its classes."""
    if isinstance(model, str):
        return Match(Fit.LIKELY, f"{model} is a timm model") if FAMILY.is_installed and model in names() else None
    return class_match(model, "timm")


def names() -> list[str]:
    """Names of timm's registry."""
    import timm

    return timm.list_models()


FAMILY = Family(
    name="timm",
    matches=matches,
    load="isotherm.models.timm.view:load",
    wrap="isotherm.models.timm.view:wrap",
    package="timm",
    extra="models",
    names=names,
    surest_name=Fit.LIKELY,
)
