"""Kinds of recipes by name: the modules that fulfil :class:`isotherm.train.recipe_module.RecipeModule`. No torch
here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from isotherm.ops.names import known_word

if TYPE_CHECKING:
    from isotherm.train.recipe_module import RecipeModule

MODULES = {
    "keypoints": "isotherm.train.keypoint_run",
    "grounding": "isotherm.train.grounding.run",
    "anticipation": "isotherm.train.anticipation.run",
    "scenes": "isotherm.zoo.scenes.recipe",
    "detector": "isotherm.zoo.detector.recipe",
    "tiny-vlm": "isotherm.zoo.tiny_vlm.recipe",
    "tiny-grounding": "isotherm.zoo.tiny_grounding.recipe",
    "tiny-anticipation": "isotherm.zoo.tiny_anticipation.recipe",
}


def recipe_module(task: str) -> RecipeModule:
    """The module of a kind of recipe.

    Raises:
        OptionError: there is no such kind.
    """
    return cast("RecipeModule", importlib.import_module(MODULES[known_word(task, tuple(MODULES), "task")]))
