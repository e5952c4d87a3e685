"""Arms of an ablation: what each changes of a recipe, by the words that the command line has for it."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from isotherm.errors import OptionError
from isotherm.gaze.fusion.choose import FUSIONS, VARIANTS
from isotherm.ops.names import known_word
from isotherm.train.keypoint_recipe import set_at

WORDS: Mapping[str, Mapping[str, Any]] = {
    "none": {"model.fusion": None},
    "real": {},
    "missing": {"training.gaze.condition": "missing"},
    "shuffled": {"training.gaze.condition": "shuffled"},
    "shifted": {"training.gaze.condition": "shifted"},
    "centre": {"training.gaze.condition": "centre"},
    "gaze-only": {"training.gaze.blind": True},
    "zeros": {"model.fusion.states": "zeros"},
}
"""Of every arm without a value the changes of a recipe, as path -> value.

none: the model without gaze. real: the recipe as it is. missing: a model that takes gaze and is never told any.
shuffled, shifted, centre: other gaze in its place. gaze-only: the pictures are grey. zeros: one vector of zeros for
gaze that is missing and for gaze that has left the picture.
"""
VALUED = ("source", "fusion")
"""Arms with a value: ``source:PATH``, gaze from elsewhere, and ``fusion:NAME``, another way in."""


def arm_recipe(plain: Mapping[str, Any], arm: str, *, seed: int) -> dict[str, Any]:
    """The recipe of an arm.

    Args:
        plain: of the ablation, as YAML has it; it must have a fusion.
        arm: its word.
        seed: of the weights, the order and what else is drawn.

    Raises:
        OptionError: there is no such arm, or it changes nothing.

    Example:
        >>> arm_recipe({"data": {}, "model": {"fusion": "patch_add"}}, "zeros", seed=1)["model"]
        {'fusion': {'name': 'patch_add', 'states': 'zeros'}, 'seed': 1}
    """
    recipe: dict[str, Any] = copy.deepcopy({"model": {}, "training": {}} | dict(plain))
    fusion = recipe["model"].get("fusion", "patch_add")
    if fusion in (None, "none"):
        raise OptionError("the recipe has no fusion (model.fusion), so there is nothing to ablate; give it one")
    recipe["model"]["fusion"] = {"name": fusion} if isinstance(fusion, str) else dict(fusion)
    word, _, value = arm.partition(":")
    if word in VALUED:
        if not value:
            raise OptionError(f"the arm {word!r} needs a value, as in {word}:{'PATH' if word == 'source' else 'NAME'}")
        _with_value(recipe, word, value)
    else:
        for path, change in WORDS[known_word(arm, (*WORDS, *(f"{v}:..." for v in VALUED)), "arm")].items():
            set_at(recipe, path, change)
    set_at(recipe, "model.seed", seed)
    set_at(recipe, "training.seed", seed)
    return recipe


def folder_name(arm: str) -> str:
    """The name of an arm's folder, another one for every arm, also on disks that take ``A`` and ``a`` for the same.

    Args:
        arm: its word.

    Example:
        >>> folder_name("gaze-only"), folder_name("fusion:patch_add"), folder_name("source:eyes/{video}.npz")
        ('gaze-only', 'fusion-patch_add', 'source-eyes-video-npz-4afb93579f')
    """
    word, _, value = arm.partition(":")
    if not value:
        return word
    readable = re.sub(r"[^a-z0-9_]+", "-", value.lower()).strip("-")[-40:]
    # a value of letters, digits and lines has no hyphen, and with a hash behind it the name has another one
    plain = readable == value and "-" not in value
    return f"{word}-{value}" if plain else f"{word}-{readable}-{hashlib.sha256(arm.encode()).hexdigest()[:10]}"


def _with_value(recipe: dict[str, Any], word: str, value: str) -> None:
    if word == "fusion":
        known_word(value, (*FUSIONS, *VARIANTS), "fusion")
        kept = {key: option for key, option in recipe["model"]["fusion"].items() if key in ("at", "states", "sigma")}
        recipe["model"]["fusion"] = {"name": value, **kept}
        return
    for part in ("train", "validation", "held_out"):
        for source in recipe.get("data", {}).get(part, ()):
            if source.get("format") == "generated":
                raise OptionError(
                    "generated clips have the gaze that they are drawn with, so source:PATH is not for them"
                )
            source["gaze"] = value
