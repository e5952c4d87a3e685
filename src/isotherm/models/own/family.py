"""Modules that come from no package that isotherm knows, which are read by what they put out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from isotherm.models.family import Family, Fit, Match
from isotherm.models.own.black_box import is_black_box


def matches(model: Any) -> Match | None:
    """Any module that no other family knows, an ONNX file, and what is called like a model and cannot be looked
    into.
    """
    if isinstance(model, str):
        fits = model.lower().endswith(".onnx") and Path(model).expanduser().is_file()
        return Match(Fit.OWN, f"{Path(model).name} is an ONNX model, which onnxruntime runs") if fits else None
    kind = type(model)
    if is_black_box(model):
        name = getattr(model, "__name__", kind.__name__)
        return Match(
            Fit.OWN, f"{name} cannot be looked into: it has no layers and no gradients that isotherm can ask for"
        )
    if not isinstance(model, nn.Module):
        return None
    return Match(
        Fit.FALLBACK,
        f"{kind.__name__}, a module of {kind.__module__}, comes from no package that isotherm knows, so it is read by what it puts out",
    )


FAMILY = Family(
    name="own", matches=matches, load="isotherm.models.own.view:load", wrap="isotherm.models.own.view:wrap", own=True
)
