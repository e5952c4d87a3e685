"""transformers' vision models, and those that answer questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isotherm.models.family import Family, Fit, Match, class_match


def matches(model: Any) -> Match | None:
    """Folders that save_pretrained wrote; owner/name of the hub, where nothing else is meant; its classes."""
    if not isinstance(model, str):
        return class_match(model, "transformers")
    path = Path(model).expanduser()
    if path.is_dir() and (path / "config.json").is_file():
        return Match(Fit.OWN, "a folder with config.json is a saved transformers model", str(path))
    return Match(Fit.FALLBACK, "owner/name is a model of the transformers hub") if "/" in model else None


FAMILY = Family(
    name="transformers",
    matches=matches,
    load="isotherm.models.transformers.view:load",
    wrap="isotherm.models.transformers.view:wrap",
    prefixes=("hf",),
    package="transformers",
    extra="models",
)
