"""Modules that come from no package that isotherm knows, which are read by what they put out."""

from __future__ import annotations

from typing import Any

from torch import nn

from isotherm.models.family import Family, Fit, Match


def matches(model: Any) -> Match | None:
    """Any module that no other family knows."""
    if not isinstance(model, nn.Module):
        return None
    kind = type(model)
    return Match(
        Fit.FALLBACK,
        f"{kind.__name__}, a module of {kind.__module__}, comes from no package that isotherm knows, so it is read by what it puts out",
    )


def load(name: str) -> Any:
    """Nothing: a module of one's own has no name that it could be opened by; ``matches`` knows no names."""
    raise AssertionError(name)


FAMILY = Family(name="own", matches=matches, load=load, wrap="isotherm.models.own.view:wrap", own=True)
