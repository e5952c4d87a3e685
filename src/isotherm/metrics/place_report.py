"""All figures of maps that say where something is meant: errors, hits, likelihood, and whether they are too sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.metrics.figure_table import FigureTable, figure_rows
from isotherm.metrics.places import credible_level, hit_at, map_nll, nearest_errors
from isotherm.ops.reliability import Reliability, reliability
from isotherm.points import Points

PCK_AT = (0.02, 0.05, 0.1)
"""Shares of the picture's longer side."""
LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Of the regions whose coverage is a figure."""


@dataclass(frozen=True, eq=False)
class PlaceReport:
    """What maps said of places that are known.

    Args:
        figures: their means and intervals, of all and of every group.
        error_px: (m) from the first candidate to the nearest true place; by it the worst pictures are chosen.
        hits: (m, k) whether one of the first 1 ... k candidates is right.
        level: (m) as of :func:`isotherm.metrics.places.credible_level`; None without maps.
        reliability: confidence beside hits; None without confidences.
    """

    figures: FigureTable
    error_px: Float[Tensor, " m"]
    hits: Tensor
    level: Float[Tensor, " m"] | None
    reliability: Reliability | None

    def table(self) -> str:
        """The figures as aligned text."""
        lines = [self.figures.table()]
        if self.reliability is not None:
            lines.append(f"expected calibration error of the confidence: {self.reliability.error:.3f}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Everything but what belongs to single pictures, as JSON can hold it."""
        error = None if self.reliability is None else self.reliability.error
        curve = None if self.level is None else [[level, self.coverage(level)] for level in (0.1, 0.25, *LEVELS)]
        return {**self.figures.to_json(), "calibration_error": error, "coverage": curve}

    def coverage(self, level: float) -> float:
        """The share of true places inside of the maps' regions of a level; of calibrated maps the level itself."""
        if self.level is None:
            raise OptionError("the report was made without maps, which coverage is of; give logits=")
        known = self.level[~self.level.isnan()]
        return float((known < level - 1e-6).double().mean())


def report_places(
    candidates: Float[Tensor, "m k 2"],
    truth: Float[Tensor, "m p 2"],
    frame: Frame,
    *,
    within_cells: float = 2.0,
    logits: Float[Tensor, "m h w"] | None = None,
    confidence: Float[Tensor, " m"] | None = None,
    group: Sequence[str] = (),
    xyz: Float[Tensor, "m 3"] | None = None,
    true_xyz: Float[Tensor, "m 3"] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> PlaceReport:
    """Compare the places that maps mean with what is known.

    Args:
        candidates: (m, k, 2) in source pixels, the likeliest first, NaN where there are fewer.
        truth: (m, p, 2) in source pixels, each of them right, NaN where there are fewer.
        frame: of the maps, single or one for each.
        within_cells: a candidate is right that lies so near a true place along each axis.
        logits: of the maps, with the temperature that they are read with.
        confidence: of the first candidate, from 0 to 1.
        group: (m) names, such as kinds of instructions.
        xyz, true_xyz: a point of the world for each, where maps were lifted.
        seed, resamples: of the bootstrap over pictures, by which all means have their intervals.

    Returns:
        ``err_px`` and ``err_cells`` of the first candidate (Euclidean; the larger axis), ``hit@1`` to ``hit@k``,
        ``pck@0.05`` and the like: off by at most that share of the picture's longer side. With logits ``nll``, the
        negative log-probability of the place's cell in nats, and ``inside_90`` and the like, the share of places inside
        of the credible region. With points of the world ``err_xyz``, in their unit. A candidate that is missing is a
        miss, and has no distance.

    Raises:
        ShapeError: parts that do not fit.
        OptionError: one of xyz and true_xyz without the other, a confidence outside of 0 to 1, a group called 'all'.
    """
    m = len(candidates)
    group = list(group) or [""] * m
    if len(group) != m or (logits is not None and len(logits) != m):
        raise ShapeError(
            f"there are {m} answers, {len(group)} groups and maps {None if logits is None else len(logits)}"
        )
    if (xyz is None) != (true_xyz is None):
        raise OptionError("xyz and true_xyz are compared with each other; give both, or neither")
    candidates, truth = candidates.detach().double().cpu(), truth.detach().double().cpu()
    cells, true_cells = (Points(p).to_cells(frame).xy.double() for p in (candidates, truth))
    errors = nearest_errors(candidates, truth)
    hits = hit_at(cells, true_cells, within=within_cells)
    longer = frame.source_size.double().amax(-1).expand(m)
    each = {
        "err_px": errors[:, 0],
        "err_cells": _larger_axis(cells[:, 0], true_cells),
        **{f"hit@{k + 1}": hits[:, k].double() for k in range(hits.shape[1])},
        **{f"pck@{at:g}": (errors[:, 0] <= at * longer).double() for at in PCK_AT},
    }
    level = None
    if logits is not None:
        probability = logits.detach().double().cpu().flatten(1).softmax(1).view(logits.shape)
        level = credible_level(probability, true_cells)
        each["nll"] = map_nll(probability, true_cells)
        inside = {f"inside_{100 * at:g}": (level < at - 1e-6).double() for at in LEVELS}
        each |= {name: torch.where(level.isnan(), torch.nan, value) for name, value in inside.items()}
    if xyz is not None and true_xyz is not None:
        each["err_xyz"] = (xyz - true_xyz).detach().double().cpu().norm(dim=-1)
    return PlaceReport(
        FigureTable(figure_rows(each, group, seed=seed, resamples=resamples)),
        errors[:, 0],
        hits,
        level,
        None if confidence is None else reliability(confidence.cpu(), hits[:, 0]),
    )


def _larger_axis(candidates: Tensor, truth: Tensor) -> Tensor:
    apart = (candidates[:, None] - truth).abs().amax(-1).nan_to_num(nan=torch.inf).amin(1)
    return torch.where(torch.isfinite(apart), apart, torch.nan)
