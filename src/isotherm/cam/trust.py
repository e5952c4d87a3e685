"""Whether to believe the maps of an explanation: the bridge from maps and models to the metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.cam.attribute import Attribution, Layers, attribute_again
from isotherm.cam.fuse import Fuse
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.trace import LayerMap, Method
from isotherm.frame import Frame
from isotherm.metrics.assess import assess
from isotherm.metrics.cascade import cascade
from isotherm.metrics.trust import Trust
from isotherm.ops.resample import to_frame

Level = Literal["fast", "full"]

FAST_TARGETS = 2
"""Targets per picture that the fast check judges, the first ones: every one costs dozens of forward passes."""
WINDOW = (16, 16)
"""Cells that maps are compared on where they are 0 nearly everywhere."""


def assessor(
    attribution: Attribution,
    methods: Sequence[Method],
    layers: Layers,
    how: Fuse,
    level: Level,
    *,
    again: Callable[..., tuple[tuple[LayerMap, ...], tuple[str, ...]]] = attribute_again,
    seed: int = 0,
) -> Callable[[int], Callable[[], tuple[Trust | None, ...]]]:
    """Row of a picture -> a function that judges its maps, targets in order and each target's methods side by side.

    Maps beyond the first targets of a fast check are not judged: None.

    Args:
        again: how the maps were made, for weights that are randomised; smoothed maps are compared with smoothed ones.
    """

    def of_picture(row: int) -> Callable[[], tuple[Trust | None, ...]]:
        def judge() -> tuple[Trust | None, ...]:
            index = torch.nonzero(attribution.targets.picture == row).flatten()
            judged = index[:FAST_TARGETS] if level == "fast" else index
            by_method = [_judge(attribution, m, method, judged, layers, how, level, again, seed) for m, method in zip(attribution.maps, methods, strict=True)]
            found: list[Trust | None] = [t for side_by_side in zip(*by_method, strict=True) for t in side_by_side]
            return (*found, *[None] * ((len(index) - len(judged)) * len(methods)))

        return judge

    return of_picture


def _judge(
    a: Attribution, m: LayerMap, method: Method, index: Tensor, layers: Layers, how: Fuse, level: Level, again: Callable[..., Any], seed: int
) -> tuple[Trust, ...]:
    targets, inputs, view = a.targets.take(index), a.rerun.inputs, a.rerun.view
    rows = inputs.take(targets.picture)
    rerun = ViewRerun(view, inputs, targets)
    maps, frame = m.values[index.to(m.values.device)], m.frame[index]
    fill = inputs.blank if inputs.blank is not None else inputs.tensor.new_zeros(inputs.tensor.shape[1])
    trusts = assess(
        to_frame(maps, frame, rows.frame, outside="edge").float(), rows.tensor, rerun.scores,
        fill=fill.to(inputs.tensor), grid=frame.size, level=level, region=inside(rows.frame), seed=seed,
    )  # fmt: skip
    windows = _windows(maps)

    def explain() -> Float[Tensor, "t h w"]:
        (other,), _ = again(view, rows, targets, methods=[method], layers=layers, how=how)
        # fewer findings may live on coarser levels only, and then come on a coarser grid
        return _compared(to_frame(other.values, other.frame, frame, outside="edge"), windows)

    keep = tuple(getattr(view, "constants", ()))
    true = _compared(maps, windows)
    seeds = (seed,) if level == "fast" else (seed, seed + 1, seed + 2)
    fractions = (1.0,) if level == "fast" else (0.25, 0.5, 0.75, 1.0)
    check = cascade(view.model, explain, maps=true, fractions=fractions, seeds=seeds, keep=keep)
    stages = () if level == "fast" else check.fractions
    return tuple(
        replace(
            trust,
            similarity=float(check.similarity[i]),
            stages=tuple(zip(stages, check.magnitude[:, i].tolist(), strict=True)) if stages else (),
        )
        for i, trust in enumerate(trusts)
    )


def inside(frame: Frame) -> Bool[Tensor, "t h w"]:
    """Which input pixels show the picture at all; a letterbox's margins are nothing to take away."""
    parts = []
    for one in frame:
        h, w = (int(v) for v in one.source_size.tolist())
        source = Frame.identity((h, w))
        parts.append(to_frame(torch.ones(h, w), source, one, mode="nearest") > 0)
    return torch.stack(parts)


def _windows(maps: Float[Tensor, "t h w"]) -> list[tuple[slice, slice]] | None:
    """Where each map is not 0, if that is less than a quarter of the grid for every map; else None.

    A finding explained on its own level has a map that is 0 but for a few cells around its anchor, whatever the
    weights are. Compared over the whole grid, those zeros would always agree.
    """
    windows = []
    for m in maps:
        at = torch.nonzero(m)
        if not len(at) or len(at) * 4 > m.numel():
            return None
        (y0, x0), (y1, x1) = at.amin(0).tolist(), at.amax(0).tolist()
        windows.append((slice(y0, y1 + 1), slice(x0, x1 + 1)))
    return windows


def _compared(maps: Float[Tensor, "t h w"], windows: list[tuple[slice, slice]] | None) -> Float[Tensor, "t i j"]:
    if windows is None:
        return maps
    cut = [m[window][None, None] for m, window in zip(maps, windows, strict=True)]
    return torch.cat([F.interpolate(c.float(), WINDOW, mode="bilinear", align_corners=False)[0] for c in cut])
