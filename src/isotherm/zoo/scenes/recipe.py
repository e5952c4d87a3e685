"""The recipe of the scene classifier: ``isotherm train scenes``, and what a sweep needs (:mod:`isotherm.train.recipe_module`)."""

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
from isotherm.zoo.scenes.network import SceneNet, SceneNetConfig, load_scene_net, random_scene_net, save_scene_net
from isotherm.zoo.scenes.training import LabelledScenes, SceneTask, SceneTraining, draw_lessons, draw_scenes, evaluate
from isotherm.zoo.shipped import MODEL, ShippedRecipe, ends, train_shipped

METRICS: Mapping[str, Better] = {"score": "more", "exact": "more", "likeliest": "more"}
"""score: mean average precision; exact: share of scenes of which all classes are found and no other; likeliest: share of scenes
that hold the likeliest class."""
train_run = train_shipped


@dataclass(frozen=True, kw_only=True)
class SceneRecipe(ShippedRecipe):
    """Training and network decide the numbers, and the counts of scenes to judge by what is known of them.

    Args:
        training: how. network: what.
    """

    name: ClassVar[str] = "scenes"
    training: SceneTraining = field(default_factory=SceneTraining)
    network: SceneNetConfig = field(default_factory=lambda: SceneNetConfig(names=CLASSES))

    def __post_init__(self) -> None:
        super().__post_init__()
        judged_by = {*VALIDATION[: max(self.validated, self.held_out)], *HELD_OUT[: self.held_out]}
        assert judged_by.isdisjoint(self.training.seeds), (
            "scenes that figures are reported on are among those fitted on"
        )

    @property
    def config(self) -> SceneTraining:
        return self.training

    def deciding(self) -> dict[str, Any]:
        return {
            "training": asdict(self.training),
            "network": asdict(self.network),
            "validated": self.validated,
            "held_out": self.held_out,
        }

    def task(self, *, say: Say = silent) -> SceneTask:
        lessons = draw_lessons(self.training, self.network, say=say)
        return SceneTask(self.training, random_scene_net(self.network, self.training.seed), lessons)

    def judged(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, SceneNet)
        found = evaluate(model, self._watched)
        return {
            "score": found["mean_average_precision"],
            "exact": found["all_objects_and_no_other"],
            "likeliest": found["likeliest_class_is_there"],
        }

    def save(self, model: nn.Module, fpath: Path) -> None:
        assert isinstance(model, SceneNet)
        save_scene_net(model, fpath)

    def measured(self, fpath: Path) -> dict[str, Any]:
        model = load_scene_net(fpath)
        splits = {"validation": VALIDATION[: self.held_out], "held_out": HELD_OUT[: self.held_out]}
        return {
            "parameters": sum(p.numel() for p in model.parameters()),
            "scenes": {"fitted_on": ends(self.training.seeds), **{name: ends(seeds) for name, seeds in splits.items()}},
            "results": {name: evaluate(model, self._square(seeds)) for name, seeds in splits.items()},
        }

    @cached_property
    def _watched(self) -> LabelledScenes:
        return self._square(VALIDATION[: self.validated])

    def _square(self, seeds: range) -> LabelledScenes:
        net = self.network
        return draw_scenes(seeds, [SceneConfig(size=net.size, classes=net.names)], net.size)


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> SceneRecipe:
    """The checked recipe of nested dictionaries; generated scenes always validate, and all classes are learnt unless some are named."""
    network = plain.get("network", {})
    if isinstance(network, Mapping):
        plain = {**plain, "network": {"names": CLASSES, **network}}
    return from_plain(SceneRecipe, plain, where=where)


def usage_of(dpath: Path) -> str:
    """The command that explains by the trained classifier of a run's folder."""
    return f"isotherm explain PICTURE --model scenes --weights {dpath / MODEL}"
