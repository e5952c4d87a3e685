"""The recipe of tiny-vlm: ``isotherm train tiny-vlm``, and what a sweep needs (:mod:`isotherm.train.recipe_module`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from isotherm.data.shape_questions import HELD_OUT, VALIDATION
from isotherm.progress import Say, silent
from isotherm.train.recipe import from_plain
from isotherm.train.recipe_module import Better
from isotherm.zoo.shipped import MODEL, ShippedRecipe, ends, train_shipped
from isotherm.zoo.tiny_vlm.network import load_tiny_vlm, random_tiny_vlm, save_tiny_vlm
from isotherm.zoo.tiny_vlm.training import QuestionTask, TinyVlmTraining, accuracy

METRICS: Mapping[str, Better] = {"wrong": "less", "count": "more", "where": "more", "exists": "more"}
"""wrong: share of wrong answers, the mean over kinds of questions; the others: share of right answers of each kind."""
train_run = train_shipped


@dataclass(frozen=True, kw_only=True)
class TinyVlmRecipe(ShippedRecipe):
    """Training decides the numbers, and the counts of questions of each kind to judge by what is known of them.

    Args:
        training: how.
    """

    name: ClassVar[str] = "tiny-vlm"
    held_out: int = 1500
    training: TinyVlmTraining = field(default_factory=TinyVlmTraining)

    @property
    def config(self) -> TinyVlmTraining:
        return self.training

    def deciding(self) -> dict[str, Any]:
        return {"training": asdict(self.training), "validated": self.validated, "held_out": self.held_out}

    def task(self, *, say: Say = silent) -> QuestionTask:
        return QuestionTask(self.training, random_tiny_vlm(self.training.seed))

    def judged(self, model: nn.Module) -> dict[str, float]:
        shares = accuracy(model, VALIDATION[: self.validated])
        return {"wrong": 1 - sum(shares.values()) / len(shares), **shares}

    def save(self, model: nn.Module, fpath: Path) -> None:
        save_tiny_vlm(model, fpath, training=asdict(self.training))

    def measured(self, fpath: Path) -> dict[str, Any]:
        seeds, model = HELD_OUT[: self.held_out], load_tiny_vlm(fpath)
        return {
            "parameters": sum(p.numel() for p in model.parameters()),
            "questions": {"held_out": ends(seeds)},
            "results": {"held_out": accuracy(model, seeds)},
        }


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> TinyVlmRecipe:
    """The checked recipe of nested dictionaries; questions always validate."""
    return from_plain(TinyVlmRecipe, plain, where=where)


def usage_of(dpath: Path) -> str:
    """The command that asks the trained model of a run's folder."""
    return f"isotherm explain PICTURE --model tiny-vlm --weights {dpath / MODEL} --prompt 'how many red ?'"
