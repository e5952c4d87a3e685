"""The recipe of tiny-grounding: ``isotherm train tiny-grounding``, and what a sweep needs
(:mod:`isotherm.train.recipe_module`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from isotherm.data.tabletop.table import HELD_OUT, VALIDATION
from isotherm.frame import Frame
from isotherm.grounding.answer import Calibration
from isotherm.grounding.model import GroundingModel
from isotherm.grounding.outputs import Outputs
from isotherm.progress import Say, silent
from isotherm.train.grounding.build import (
    GroundingChoice,
    TrainedGrounding,
    make_grounding,
    open_grounding,
    save_grounding,
)
from isotherm.train.grounding.objective import GroundingObjective
from isotherm.train.grounding.validate import GroundingMaps, fit_calibration
from isotherm.train.recipe import from_plain
from isotherm.train.recipe_module import Better
from isotherm.zoo.shipped import MODEL, ShippedRecipe, ends, train_shipped
from isotherm.zoo.tiny_grounding.network import HEAD_OPTIONS, SIDE
from isotherm.zoo.tiny_grounding.tables import TableInstructions, draw_tables
from isotherm.zoo.tiny_grounding.training import TableTask, TinyGroundingTraining, errors_px, predict_tables, shares

METRICS: Mapping[str, Better] = {"error_px": "less", "pick": "more", "relation": "more", "place": "more"}
"""error_px: the mean over all views; the others: share of hits of each kind in the first view."""
PROBES = ("pick the red block", "put it left of the blue one")
MOST_FITTED = 2000
"""Maps that the calibration is fitted on."""
train_run = train_shipped


@dataclass(frozen=True, kw_only=True)
class TinyGroundingRecipe(ShippedRecipe):
    """Training decides the numbers, and the counts of tables to judge by what is known of them.

    Args:
        training: how.
    """

    name: ClassVar[str] = "tiny-grounding"
    validated: int = 60
    held_out: int = 200
    training: TinyGroundingTraining = field(default_factory=TinyGroundingTraining)

    @property
    def config(self) -> TinyGroundingTraining:
        return self.training

    @property
    def choice(self) -> GroundingChoice:
        """The language model and the head."""
        return GroundingChoice(
            model="tiny-grounding",
            pretrained=False,
            frozen=False,
            head="convex",
            head_options=HEAD_OPTIONS,
            side=SIDE,
            views="apart",
            seed=self.training.seed,
        )

    @cached_property
    def validation(self) -> TableInstructions:
        """Tables that no training sees."""
        return draw_tables(VALIDATION[: self.validated], self.training.views)

    def deciding(self) -> dict[str, Any]:
        return {"training": asdict(self.training), "validated": self.validated, "held_out": self.held_out}

    def task(self, *, say: Say = silent) -> TableTask:
        data = draw_tables(self.training.seeds, self.training.views, say=say)
        return TableTask(self.training, make_grounding(self.choice, Outputs(), probes=PROBES), data)

    def judged(self, model: nn.Module) -> dict[str, float]:
        return in_short(figures_of(model, self.validation))

    def save(self, model: nn.Module, fpath: Path) -> None:
        assert isinstance(model, GroundingModel)
        maps = maps_of_tables(model, self.validation, most=MOST_FITTED)
        calibration = fit_calibration(maps, sigma_cells=self.training.sigma)
        save_grounding(self.trained(model, calibration), fpath, half=True)

    def trained(self, model: GroundingModel, calibration: Calibration) -> TrainedGrounding:
        """A model of this recipe with what is needed to use it."""
        return TrainedGrounding(
            model=model,
            choice=self.choice,
            objective=GroundingObjective(sigma=self.training.sigma),
            outputs=Outputs(),
            side=SIDE,
            calibration=calibration,
            facts={"training": asdict(self.training)},
        )

    def measured(self, fpath: Path) -> dict[str, Any]:
        seeds, (trained, _) = HELD_OUT[: self.held_out], open_grounding(fpath)
        by_view = figures_of(trained.model, draw_tables(seeds, self.training.views))
        return {
            "parameters": sum(p.numel() for p in trained.model.parameters()),
            "instruction_change": trained.model.instruction_change,
            "calibration": asdict(trained.calibration),
            "tables": {"validation": ends(VALIDATION[: self.validated]), "held_out": ends(seeds)},
            "results": {"held_out": in_short(by_view), "by_view": by_view},
        }


def figures_of(model: nn.Module, data: TableInstructions) -> dict[str, dict[str, float]]:
    """In every view by name: the mean error in pixels, and of every kind of instruction the share of hits and the mean
    error.

    A side view hides blocks behind others and how far away they are, so not every instruction can be followed in it.

    Args:
        model: in evaluation mode.
        data: the tables.
    """
    every = torch.arange(len(data))
    figures = {}
    for v, name in enumerate(data.views):
        errors = errors_px(predict_tables(model, data, every, v), data.xy[:, v])
        figures[name] = {"error_px": float(errors.mean()), **shares(errors, data.kind)}
    return figures


def in_short(by_view: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Those of :data:`METRICS`.

    Args:
        by_view: of :func:`figures_of`.
    """
    first = next(iter(by_view.values()))
    error = sum(view["error_px"] for view in by_view.values()) / len(by_view)
    return {"error_px": error, **{kind: first[kind] for kind in METRICS if kind in first and kind != "error_px"}}


def maps_of_tables(model: nn.Module, data: TableInstructions, *, most: int | None = None) -> GroundingMaps:
    """The maps of all instructions in all views, or of so many of them, evenly taken, as a calibration is fitted to.

    Args:
        model: in evaluation mode.
        data: the tables.
        most: maps.
    """
    step = 1 if most is None else -(-len(data) * len(data.views) // most)
    logits, xy, record, place = [], [], [], []
    for v in range(len(data.views)):
        index = torch.arange(v % step, len(data), step)
        logits.append(predict_tables(model, data, index, v))
        xy.append(data.xy[index, v, None])
        record.append(index)
        place.append(torch.tensor([[v, 0]]).expand(len(index), 2))
    maps = torch.cat(logits)
    frame = Frame.stack([Frame.resize((SIDE, SIDE), (maps.shape[-2], maps.shape[-1]))] * len(maps))
    return GroundingMaps(maps, frame, torch.cat(xy), torch.cat(record), torch.cat(place))


def recipe_from(plain: Mapping[str, Any], *, where: str = "", judged: bool = False) -> TinyGroundingRecipe:
    """The checked recipe of nested dictionaries; generated tables always validate."""
    return from_plain(TinyGroundingRecipe, plain, where=where)


def usage_of(dpath: Path) -> str:
    """The command that asks the trained model of a run's folder."""
    return f'isotherm predict grounding PICTURE "pick the red block" --run {dpath / MODEL}'
