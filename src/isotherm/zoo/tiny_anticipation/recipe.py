"""The recipe of tiny-anticipation: ``isotherm train tiny-anticipation``, and what a sweep needs
(:mod:`isotherm.train.recipe_module`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from isotherm.gaze.model import AnticipationModel
from isotherm.progress import Say, silent
from isotherm.train.anticipation.build import (
    AnticipationChoice,
    TrainedAnticipation,
    make_anticipation,
    open_anticipation,
    save_anticipation,
)
from isotherm.train.anticipation.gaze_use import Condition, GazeUse
from isotherm.train.anticipation.generated import CLASSES, GeneratedClips
from isotherm.train.anticipation.source import ClipSource
from isotherm.train.anticipation.task import AnticipationTask, AnticipationTraining
from isotherm.train.anticipation.tiny import tiny_model, tiny_training
from isotherm.train.anticipation.validate import answers_of
from isotherm.train.recipe import from_plain
from isotherm.train.recipe_module import Better
from isotherm.zoo.shipped import MODEL, ShippedRecipe, train_shipped

METRICS: Mapping[str, Better] = {"score": "more", "gaze": "more", "out_of_frame": "more", "video": "more"}
"""score: share of clips of which the action is right; the others: of each part."""
OTHER_GAZE: tuple[Condition, ...] = ("shuffled", "shifted", "missing")
"""What the model is judged with beside the truth."""
train_run = train_shipped


def _training() -> AnticipationTraining:
    plain = tiny_training(steps=2000, keep_every=200, log_every=50, gaze={"dropout": 0.05})
    return from_plain(AnticipationTraining, plain)


@dataclass(frozen=True, kw_only=True)
class TinyAnticipationRecipe(ShippedRecipe):
    """Training decides the numbers, and the counts of clips to judge by what is known of them.

    Args:
        training: how.
        clips: to learn from.
    """

    name: ClassVar[str] = "tiny-anticipation"
    validated: int = 500
    held_out: int = 2000
    clips: int = 4000
    training: AnticipationTraining = field(default_factory=_training)

    @property
    def config(self) -> AnticipationTraining:
        return self.training

    @property
    def choice(self) -> AnticipationChoice:
        """The video model, how gaze gets in, and the probe."""
        return from_plain(AnticipationChoice, tiny_model() | {"seed": self.training.seed})

    @cached_property
    def validation(self) -> GeneratedClips:
        """Clips that no training sees."""
        return GeneratedClips([ClipSource(format="generated", split="validation", count=self.validated)])

    def deciding(self) -> dict[str, Any]:
        return {
            "training": asdict(self.training),
            "clips": self.clips,
            "validated": self.validated,
            "held_out": self.held_out,
        }

    def task(self, *, say: Say = silent) -> AnticipationTask:
        data = GeneratedClips([ClipSource(format="generated", count=self.clips)])
        model = make_anticipation(self.choice, CLASSES, rate_hz=data.rate_hz)
        return AnticipationTask(self.training, model, data)

    def judged(self, model: nn.Module) -> dict[str, float]:
        return figures_of(model, self.validation)

    def save(self, model: nn.Module, fpath: Path) -> None:
        assert isinstance(model, AnticipationModel)
        data = self.validation
        facts = {"training": asdict(self.training)}
        trained = TrainedAnticipation(model, self.choice, CLASSES, data.rate_hz, data.frames, facts)
        save_anticipation(trained, fpath)

    def measured(self, fpath: Path) -> dict[str, Any]:
        trained = open_anticipation(fpath)
        data = GeneratedClips([ClipSource(format="generated", split="held_out", count=self.held_out)])
        return {
            "parameters": sum(p.numel() for p in trained.model.parameters()),
            "results": {
                "held_out": figures_of(trained.model, data),
                "other_gaze": {
                    condition: figures_of(trained.model, data, GazeUse(condition=condition)) for condition in OTHER_GAZE
                },
            },
        }


def figures_of(model: nn.Module, data: GeneratedClips, gaze: GazeUse | None = None) -> dict[str, float]:
    """Those of :data:`METRICS`.

    Args:
        model: in evaluation mode.
        data: clips.
        gaze: what the model is told; None: the truth.
    """
    assert isinstance(model, AnticipationModel)
    answers = answers_of(model, data, GazeUse() if gaze is None else gaze)
    parts = {name.removesuffix("_part"): value for name, value in answers.of_parts().items()}
    return {"score": float(answers.right().double().mean()), **parts}


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> TinyAnticipationRecipe:
    """The checked recipe of nested dictionaries; generated clips always validate.

    Args:
        plain: as YAML has them; what it does not say of the training is as it ships.
        where: what to call it in messages.
        judged: says nothing here.
    """
    shipped = asdict(TinyAnticipationRecipe().training)
    training = shipped | dict(plain.get("training", {}))
    return from_plain(TinyAnticipationRecipe, {**plain, "training": training}, where=where)


def usage_of(dpath: Path) -> str:
    """The command that explains by the trained model of a run's folder.

    Args:
        dpath: the folder.
    """
    return f"isotherm explain CLIP --model tiny-anticipation --weights {dpath / MODEL}"
