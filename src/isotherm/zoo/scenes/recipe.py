"""The recipe of the scene classifier: ``isotherm train scenes``, and what a sweep needs
(:mod:`isotherm.train.recipe_module`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from isotherm.data.scenes import CLASSES, SceneConfig
from isotherm.progress import Say, silent
from isotherm.train.recipe_module import Better
from isotherm.zoo.scene_recipe import SceneTrainingRecipe, scene_recipe_from
from isotherm.zoo.scenes.network import SceneNet, SceneNetConfig, load_scene_net, random_scene_net, save_scene_net
from isotherm.zoo.scenes.training import LabelledScenes, SceneTask, SceneTraining, draw_lessons, draw_scenes, evaluate
from isotherm.zoo.shipped import MODEL, train_shipped

METRICS: Mapping[str, Better] = {"score": "more", "exact": "more", "likeliest": "more"}
"""score: mean average precision; exact: share of scenes of which all classes are found and no other; likeliest: share
of scenes that hold the likeliest class."""
train_run = train_shipped


@dataclass(frozen=True, kw_only=True)
class SceneRecipe(SceneTrainingRecipe):
    """Training and network decide the numbers, and the counts of scenes to judge by what is known of them."""

    name: ClassVar[str] = "scenes"
    training: SceneTraining = field(default_factory=SceneTraining)
    network: SceneNetConfig = field(default_factory=lambda: SceneNetConfig(names=CLASSES))

    def task(self, *, say: Say = silent) -> SceneTask:
        lessons = draw_lessons(self.training, self.network, say=say)
        return SceneTask(self.training, random_scene_net(self.network, self.training.seed), lessons)

    def judged(self, model: nn.Module) -> dict[str, float]:
        reached = self.figures(model, self.validation)
        return {
            "score": reached["mean_average_precision"],
            "exact": reached["all_objects_and_no_other"],
            "likeliest": reached["likeliest_class_is_there"],
        }

    def save(self, model: nn.Module, fpath: Path) -> None:
        assert isinstance(model, SceneNet)
        save_scene_net(model, fpath)

    def load(self, fpath: Path) -> SceneNet:
        return load_scene_net(fpath)

    def draw(self, seeds: range, scene: SceneConfig) -> LabelledScenes:
        return draw_scenes(seeds, [scene], self.network.size)

    def figures(self, model: nn.Module, scenes: LabelledScenes) -> dict[str, Any]:
        assert isinstance(model, SceneNet)
        return evaluate(model, scenes)


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> SceneRecipe:
    """The checked recipe of nested dictionaries; generated scenes always validate, and all classes are learnt unless
    some are named.
    """
    return scene_recipe_from(SceneRecipe, plain, where=where)


def usage_of(dpath: Path) -> str:
    """The command that explains by the trained classifier of a run's folder."""
    return f"isotherm explain PICTURE --model scenes --weights {dpath / MODEL}"
