"""The recipe of the heatmap detector: ``isotherm train detector``, and what a sweep needs
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
from isotherm.zoo.detector.boxed_scenes import BoxedScenes, draw_boxed_scenes
from isotherm.zoo.detector.network import (
    HeatmapDetector,
    HeatmapDetectorConfig,
    load_detector,
    random_detector,
    save_detector,
)
from isotherm.zoo.detector.training import DetectorTask, DetectorTraining, evaluate
from isotherm.zoo.detector.view import detector_preprocess
from isotherm.zoo.scene_recipe import SceneTrainingRecipe, scene_recipe_from
from isotherm.zoo.shipped import MODEL, train_shipped

METRICS: Mapping[str, Better] = {"score": "more", "AP50": "more", "recall": "more", "mean_iou": "more"}
"""score: average precision over overlaps from 0.50 to 0.95."""
train_run = train_shipped


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe(SceneTrainingRecipe):
    """Training and network decide the numbers, and the counts of scenes to judge by what is known of them."""

    name: ClassVar[str] = "detector"
    training: DetectorTraining = field(default_factory=DetectorTraining)
    network: HeatmapDetectorConfig = field(default_factory=lambda: HeatmapDetectorConfig(names=CLASSES))

    def task(self, *, say: Say = silent) -> DetectorTask:
        scenes = [SceneConfig(size=size, classes=self.network.names) for size in self.training.sizes]
        data = draw_boxed_scenes(self.training.seeds, scenes, detector_preprocess(self.network.size), say=say)
        return DetectorTask(self.training, random_detector(self.network, self.training.seed).train(), data)

    def judged(self, model: nn.Module) -> dict[str, float]:
        reached = self.figures(model, self.validation)
        return {"score": reached["AP50:95"], **{name: reached[name] for name in ("AP50", "recall", "mean_iou")}}

    def save(self, model: nn.Module, fpath: Path) -> None:
        assert isinstance(model, HeatmapDetector)
        save_detector(model, fpath)

    def load(self, fpath: Path) -> HeatmapDetector:
        return load_detector(fpath)

    def draw(self, seeds: range, scene: SceneConfig) -> BoxedScenes:
        return draw_boxed_scenes(seeds, [scene], detector_preprocess(self.network.size))

    def figures(self, model: nn.Module, scenes: BoxedScenes) -> dict[str, Any]:
        assert isinstance(model, HeatmapDetector)
        return evaluate(model, scenes)


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> DetectorRecipe:
    """The checked recipe of nested dictionaries; generated scenes always validate, and all classes are learnt unless
    some are named.
    """
    return scene_recipe_from(DetectorRecipe, plain, where=where)


def usage_of(dpath: Path) -> str:
    """The command that explains by the trained detector of a run's folder."""
    return f"isotherm explain PICTURE --model detector --weights {dpath / MODEL}"
