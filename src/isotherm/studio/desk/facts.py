"""What the page must know once and only torch can tell: models, methods and devices."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch

from isotherm import methods
from isotherm.errors import InputError, IsothermError
from isotherm.jobs.open_model import DEFAULT
from isotherm.jobs.options import AUTO
from isotherm.models.choose import family_of_name
from isotherm.models.ultralytics.vocabulary import lacks_classes
from isotherm.relevance.method import Subject
from isotherm.untrusted.plain import read_object

KINDS = {
    "scenes": "classifier",
    "imagenet": "classifier",
    "timm": "classifier",
    "detector": "detector",
    "tiny-vlm": "question",
    "keypoints": "maps",
}
"""What a family's models do, where all of them do one thing."""


def facts(models: Sequence[str]) -> dict[str, Any]:
    """Everything that stays as it is while a studio runs, as JSON can hold it.

    Args:
        models: that may be asked for.
    """
    return {"models": [model_facts(name) for name in models], "methods": method_facts(), "devices": devices()}


def model_facts(name: str) -> dict[str, Any]:
    """Name, family and kind of a model that is not opened, and why it cannot be where that is known already."""
    if name == AUTO:
        return {"name": name, "kind": "auto", "prompts": "none", "family": "", "stands_for": DEFAULT}
    try:
        family, match = family_of_name(name)
    except IsothermError as error:
        return {"name": name, "kind": "auto", "prompts": "none", "family": "", "error": str(error)}
    plain = (match.name or name).lower()
    kind = KINDS.get(family.name) or _kind(family.name, plain)
    if family.name == "transformers" and _gives_maps(Path(name)):
        kind = "maps"
    prompts = "none"
    if family.name == "ultralytics" and any(word in plain for word in ("yoloe", "world")):
        prompts = "visual" if "yoloe" in plain else "text"
    facts = {"name": name, "kind": kind, "prompts": prompts, "family": family.name, "why": match.reason}
    masks = kind == "detector" and any(word in plain for word in ("-seg", "mask"))  # an outline for each finding
    lacks = family.name == "ultralytics" and lacks_classes(name)
    return {**facts, **({"masks": True} if masks else {}), **({"lacks_classes": True} if lacks else {})}


def _kind(family: str, name: str) -> str:
    if family == "ultralytics":
        return "classifier" if "-cls" in name else "detector"
    if family == "torchvision":
        models = importlib.import_module("torchvision.models")
        try:
            module = models.get_model_builder(name).__module__
        except ValueError:
            return AUTO
        return "detector" if ".detection" in module else "segmenter" if ".segmentation" in module else "classifier"
    return AUTO


def _gives_maps(folder: Path) -> bool:
    """Whether a folder holds a model of depth or of poses; of a name on a hub nobody knows before it is loaded."""
    try:
        known = read_object(folder / "config.json").get("architectures")
    except (FileNotFoundError, InputError):
        return False
    named = known if isinstance(known, list) else []
    return any(str(one).endswith(("ForDepthEstimation", "ForPoseEstimation")) for one in named)


def method_facts() -> list[dict[str, Any]]:
    """Every name of a method once, with the subjects that there is one of this name for."""
    entries: dict[str, dict[str, Any]] = {}
    for subject in get_args(Subject):
        for name, method in methods.catalogue(subject).items():
            facts = {"name": name, "title": method.name, "signed": bool(method.signed), "needs": sorted(method.needs)}
            entries.setdefault(name, {**facts, "explains": []})["explains"].append(subject)
    return list(entries.values())


def devices() -> list[str]:
    """The names that ``--device`` takes here."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["auto", "cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]
