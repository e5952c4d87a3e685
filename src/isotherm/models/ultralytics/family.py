"""Ultralytics' models: YOLO, YOLOE and RT-DETR, by file, name or object."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from isotherm.models.family import Family, Fit, Match, class_match

FILE_NAME = re.compile(r"^(yolo|yoloe|rtdetr|yolov)[\w.\-]*\.(pt|ya?ml)$", re.IGNORECASE)


def matches(model: Any) -> Match | None:
    """Names of files and descriptions as the package gives them; its classes. What an existing file is, is recognised
    before families are asked.
    """
    if not isinstance(model, str):
        return class_match(model, "ultralytics")
    path = Path(model).expanduser()
    if path.is_dir() or not FILE_NAME.match(path.name):
        return None
    return Match(Fit.OWN, f"{path.name} is a name of ultralytics' models")


FAMILY = Family(
    name="ultralytics",
    matches=matches,
    load="isotherm.models.ultralytics.view:load",
    wrap="isotherm.models.ultralytics.view:wrap",
    prefixes=("yolo",),
    package="ultralytics",
    extra="yolo",
)
