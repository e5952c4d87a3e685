"""Ultralytics' models: YOLO, YOLOE and RT-DETR, by file, name or object."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from isotherm.models.family import Family, Fit, Match, class_match

FILE_NAME = re.compile(r"^(yolo|yoloe|rtdetr|yolov)[\w.\-]*\.(pt|ya?ml)$", re.IGNORECASE)


def matches(model: Any) -> Match | None:
    """Files and descriptions with the package's names, any .pt file that is there; its classes."""
    if not isinstance(model, str):
        return class_match(model, "ultralytics")
    path = Path(model).expanduser()
    if path.is_dir() or not (FILE_NAME.match(path.name) or (path.is_file() and path.suffix == ".pt")):
        return None
    return Match(Fit.OWN, "a .pt or .yaml file is an ultralytics model")


FAMILY = Family(
    name="ultralytics",
    matches=matches,
    load="isotherm.models.ultralytics.view:load",
    wrap="isotherm.models.ultralytics.view:wrap",
    prefixes=("yolo",),
    package="ultralytics",
    extra="yolo",
)
