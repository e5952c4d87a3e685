"""torchvision's models, and every module that maps pictures to logits."""

from __future__ import annotations

from typing import Any

from torch import nn

from isotherm.models.family import Family, Fit, Match, class_match


def matches(model: Any) -> Match | None:
    """Names of its registry; its classes; any module that no other family knows, which is read as a classifier."""
    if isinstance(model, str):
        return Match(Fit.NAMED, f"{model} is a torchvision model") if FAMILY.is_installed and model in names() else None
    if match := class_match(model, "torchvision"):
        return match
    if not isinstance(model, nn.Module):
        return None
    kind = type(model)
    return Match(
        Fit.FALLBACK,
        f"{kind.__name__}, a module of {kind.__module__}, comes from no package that isotherm knows, so it is read as one that maps "
        "(pictures, channels, rows, columns) to logits",
    )


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
)
