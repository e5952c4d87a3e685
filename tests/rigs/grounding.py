"""Tiny vision-language models with random weights: a folder, a recipe that trains a head on it in a second, and a model as
if it had been trained."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from isotherm.grounding.outputs import Outputs
from isotherm.train.grounding.build import GroundingChoice, TrainedGrounding, make_grounding
from isotherm.train.grounding.objective import GroundingObjective
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


def random_trained(view: Any, *, views: int = 1, side: int = 32, outputs: Any = None, **parts: Any) -> TrainedGrounding:
    """A model with random weights as if it had been trained, on a copy of a view."""
    torch.manual_seed(0)
    copied = copy.deepcopy(view, {id(view.processor): view.processor})
    choice = GroundingChoice(model="none", head_options={"ratio": 2, "hidden_dim": 8}, side=side)
    reading = Outputs() if outputs is None else outputs
    model = make_grounding(choice, reading, view=copied, probes=None).eval()
    return TrainedGrounding(
        model=model, choice=choice, objective=GroundingObjective(), outputs=reading, side=side, views=views, **parts
    )
