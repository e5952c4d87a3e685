"""What recipes have in common whose networks learn from generated scenes and are judged on others: the classifier's and
the detector's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from isotherm.data.scenes import CLASSES, HELD_OUT, VALIDATION, SceneConfig
from isotherm.train.recipe import from_plain
from isotherm.zoo.shipped import ShippedRecipe, ends

Recipe = TypeVar("Recipe", bound="SceneTrainingRecipe")


@dataclass(frozen=True, kw_only=True)
class SceneTrainingRecipe(ShippedRecipe):
    """Abstract: training and network decide the numbers, and the counts of scenes to judge by what is known of them.

    Args:
        training: how, with the ``seeds`` of the scenes that are learnt from.
        network: what, with the ``size`` of its input and the ``names`` of its classes.
    """

    training: Any
    network: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        judged_by = {*VALIDATION[: max(self.validated, self.held_out)], *HELD_OUT[: self.held_out]}
        assert judged_by.isdisjoint(self.training.seeds), (
            "scenes that figures are reported on are among those fitted on"
        )

    @property
    def config(self) -> Any:
        return self.training

    def deciding(self) -> dict[str, Any]:
        return {
            "training": asdict(self.training),
            "network": asdict(self.network),
            "validated": self.validated,
            "held_out": self.held_out,
        }

    @abstractmethod
    def load(self, fpath: Path) -> nn.Module:
        """The network of weights that :meth:`save` wrote."""

    @abstractmethod
    def draw(self, seeds: range, scene: SceneConfig) -> Any:
        """Scenes of these seeds with what is known of them, as the network is fed with them."""

    @abstractmethod
    def figures(self, model: nn.Module, scenes: Any) -> dict[str, Any]:
        """What a network reaches on scenes that :meth:`draw` drew."""

    def measured(self, fpath: Path) -> dict[str, Any]:
        model = self.load(fpath)
        splits = {"validation": VALIDATION[: self.held_out], "held_out": HELD_OUT[: self.held_out]}
        return {
            "parameters": sum(p.numel() for p in model.parameters()),
            "scenes": {"fitted_on": ends(self.training.seeds), **{name: ends(seeds) for name, seeds in splits.items()}},
            "results": {name: self.figures(model, self._square(seeds)) for name, seeds in splits.items()},
        }

    @cached_property
    def validation(self) -> Any:
        """The scenes that are looked at with every checkpoint."""
        return self._square(VALIDATION[: self.validated])

    def _square(self, seeds: range) -> Any:
        """Scenes of the size of the network's input."""
        return self.draw(seeds, SceneConfig(size=self.network.size, classes=self.network.names))


def scene_recipe_from(kind: type[Recipe], plain: Mapping[str, Any], *, where: str) -> Recipe:
    """The checked recipe of nested dictionaries; all classes are learnt unless some are named."""
    network = plain.get("network", {})
    if isinstance(network, Mapping):
        plain = {**plain, "network": {"names": CLASSES, **network}}
    return from_plain(kind, plain, where=where)
