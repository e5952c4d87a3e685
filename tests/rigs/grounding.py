"""A tiny vision-language model in a folder, with random weights, and a recipe that trains a head on it in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rigs.vlm_models import FAMILIES


def tiny_folder(dpath: Path, family: str = "paligemma") -> Path:
    """The model of a family, saved as the hub has them."""
    model, processor = FAMILIES[family]()
    model.save_pretrained(dpath)
    processor.save_pretrained(dpath)
    return dpath


def plain_recipe(folder: Path) -> dict[str, Any]:
    """Six steps on generated tables, validated on twelve instructions."""
    table = {"format": "tabletop", "size": 32, "most": 2}
    return {
        "data": {"train": [table | {"count": 8}], "validation": [table | {"split": "validation", "count": 6}]},
        "model": {"model": str(folder), "head_options": {"ratio": 2, "hidden_dim": 8}},
        "training": {
            "steps": 6,
            "batch": 4,
            "rate": 0.01,
            "log_every": 1,
            "keep_every": 3,
            "average": 0.5,
            "objective": {"sigma": 1.0},
            "schedule": {"warm_up": 1},
            "augmentation": {"flip": 0.5, "shift": 0.1},
        },
        "devices": {"accelerator": "cpu"},
    }
