"""The recipe of the heatmap detector: ``isotherm train detector``, and what a sweep needs (:mod:`isotherm.train.recipe_module`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from isotherm.data.scenes import CLASSES, HELD_OUT, VALIDATION, SceneConfig
from isotherm.progress import Say, silent
from isotherm.train.recipe import from_plain
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
from isotherm.zoo.shipped import MODEL, ShippedRecipe, ends, train_shipped

METRICS: Mapping[str, Better] = {"score": "more", "AP50": "more", "recall": "more", "mean_iou": "more"}
"""score: average precision over overlaps from 0.50 to 0.95."""
train_run = train_shipped


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe(ShippedRecipe):
    """Training and network decide the numbers, and the counts of scenes to judge by what is known of them.

    Args:
        training: how. network: what.
    """

    name: ClassVar[str] = "detector"
    training: DetectorTraining = field(default_factory=DetectorTraining)
    network: HeatmapDetectorConfig = field(default_factory=lambda: HeatmapDetectorConfig(names=CLASSES))

    def __post_init__(self) -> None:
        super().__post_init__()
        judged_by = {*VALIDATION[: max(self.validated, self.held_out)], *HELD_OUT[: self.held_out]}
        assert judged_by.isdisjoint(self.training.seeds), (
            "scenes that figures are reported on are among those fitted on"
        )

    @property
    def config(self) -> DetectorTraining:
        return self.training

    def deciding(self) -> dict[str, Any]:
        return {
            "training": asdict(self.training),
            "network": asdict(self.network),
            "validated": self.validated,
            "held_out": self.held_out,
        }

    def task(self, *, say: Say = silent) -> DetectorTask:
        scenes = [SceneConfig(size=size, classes=self.network.names) for size in self.training.sizes]
        data = draw_boxed_scenes(self.training.seeds, scenes, detector_preprocess(self.network.size), say=say)
        return DetectorTask(self.training, random_detector(self.network, self.training.seed).train(), data)

    def judged(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, HeatmapDetector)
        found = evaluate(model, self._watched)
        return {"score": found["AP50:95"], **{name: found[name] for name in ("AP50", "recall", "mean_iou")}}

    def save(self, model: nn.Module, fpath: Path) -> None:
        assert isinstance(model, HeatmapDetector)
        save_detector(model, fpath)

    def measured(self, fpath: Path) -> dict[str, Any]:
        model = load_detector(fpath)
        splits = {"validation": VALIDATION[: self.held_out], "held_out": HELD_OUT[: self.held_out]}
        return {
            "parameters": sum(p.numel() for p in model.parameters()),
            "scenes": {"fitted_on": ends(self.training.seeds), **{name: ends(seeds) for name, seeds in splits.items()}},
            "results": {name: evaluate(model, self._square(seeds)) for name, seeds in splits.items()},
        }

    @cached_property
    def _watched(self) -> BoxedScenes:
        return self._square(VALIDATION[: self.validated])

    def _square(self, seeds: range) -> BoxedScenes:
        net = self.network
        return draw_boxed_scenes(seeds, [SceneConfig(size=net.size, classes=net.names)], detector_preprocess(net.size))


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> DetectorRecipe:
    """The checked recipe of nested dictionaries; generated scenes always validate, and all classes are learnt unless some are named."""
    network = plain.get("network", {})
    if isinstance(network, Mapping):
        plain = {**plain, "network": {"names": CLASSES, **network}}
    return from_plain(DetectorRecipe, plain, where=where)


def usage_of(dpath: Path) -> str:
    """The command that explains by the trained detector of a run's folder."""
    return f"isotherm explain PICTURE --model detector --weights {dpath / MODEL}"
