"""Whether to believe the maps of an explanation: the bridge from maps and models to the metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from isotherm.cam.attribute import Attribution, Layers, attribute_again
from isotherm.cam.receptive import Axis
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.scores.targets import Targets
from isotherm.cam.trace import Fuse, LayerMap, Method, at_moments
from isotherm.frame import Frame
from isotherm.metrics.assess import assess
from isotherm.metrics.cascade import Cascade, cascade
from isotherm.metrics.trust import Trust
from isotherm.ops.names import known_word
from isotherm.ops.resample import to_frame

Level = Literal["fast", "full"]

Window = tuple[slice, slice]

FAST_TARGETS = 2
"""Targets per picture that the fast check judges, those of the highest scores: every one costs dozens of forward passes."""
CLIP_BATCH = 4
"""Changed clips that go through the model together: one takes the memory of as many pictures as it has frames."""
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

    A fast check judges the maps of the two targets that the model is surest of, wherever they stand; the others are None.

    Args:
        again: how the maps were made, for weights that are randomised; smoothed maps are compared with smoothed ones.
    """

    known_word(level, get_args(Level), "level")

    def of_picture(row: int) -> Callable[[], tuple[Trust | None, ...]]:
        def judge() -> tuple[Trust | None, ...]:
            index = torch.nonzero(attribution.targets.picture == row).flatten()
            judged = index[_surest(attribution.targets.take(index))] if level == "fast" else index
            benches = [_Bench(attribution, method, layers, how, level, again, seed) for method in methods]
            by_method = [_judge(bench, m, judged) for bench, m in zip(benches, attribution.maps, strict=True)]
            found = dict(zip(judged.tolist(), zip(*by_method, strict=True), strict=True))
            nothing: tuple[Trust | None, ...] = (None,) * len(methods)
            return tuple(t for target in index.tolist() for t in found.get(target, nothing))

        return judge

    return of_picture


def _surest(targets: Targets) -> Int[Tensor, " n"]:
    """The few targets of one picture with the highest confidence, or else score, in the targets' order; the label decides between equals.

    Parts of one finding have one confidence, and scores in units of their own; their labels begin alike, that of the class first.
    """
    values = (targets.scores if targets.confidence is None else targets.confidence).detach().tolist()
    ranked = sorted(range(len(targets)), key=lambda i: (-values[i], targets.labels[i]))
    return torch.tensor(sorted(ranked[:FAST_TARGETS]), dtype=torch.long)


@dataclass(frozen=True, eq=False)
class _Bench:
    """What is the same for all maps of one method.

    Args:
        again: how the maps were made. Others: as of :func:`assessor`.
    """

    attribution: Attribution
    method: Method
    layers: Layers
    how: Fuse
    level: Level
    again: Callable[..., tuple[tuple[LayerMap, ...], tuple[str, ...]]]
    seed: int

    def alone(self, target: int) -> LayerMap:
        """The map of one target as it comes with the weights that the model has now and nothing else asked for."""
        targets = self.attribution.targets.take(torch.tensor([target]))
        row = self.attribution.rerun.inputs.take(targets.picture)
        (only,), _ = self.again(
            self.attribution.rerun.view, row, targets, methods=[self.method], layers=self.layers, how=self.how
        )
        return only


def _judge(bench: _Bench, m: LayerMap, index: Tensor) -> tuple[Trust, ...]:
    """Each map judged by itself: what else was asked for, in which order and in what batch, must not change a verdict."""
    shown = [_own(bench, m, t) for t in index.tolist()]
    trusts = [_against_random(bench, one, t) for one, t in zip(shown, index.tolist(), strict=True)]
    windows = [_window(one.values[0]) for one in shown]
    # one set of random weights serves all maps that can stand in one tensor
    groups: dict[Any, list[int]] = {}
    for i, (one, window) in enumerate(zip(shown, windows, strict=True)):
        groups.setdefault(one.values.shape[1:] if window is None else WINDOW, []).append(i)
    for some in groups.values():
        check = _against_random_weights(bench, [shown[i] for i in some], [windows[i] for i in some], index[some])
        stages = () if bench.level == "fast" else check.fractions
        for row, i in enumerate(some):
            steps = tuple(zip(stages, check.magnitude[:, row].tolist(), strict=True)) if stages else ()
            trusts[i] = replace(trusts[i], similarity=float(check.similarity[row]), stages=steps)
    return tuple(trusts)


def _own(bench: _Bench, m: LayerMap, target: int) -> LayerMap:
    """One target's map on its own grid: what was enlarged for the sake of other findings is made again without them."""
    if m.sizes is not None and m.sizes[target] != m.frame.size:
        return bench.alone(target)
    return LayerMap(m.name, m.values[target : target + 1], m.frame[target : target + 1], time=m.time)


def _against_random(bench: _Bench, m: LayerMap, target: int) -> Trust:
    a = bench.attribution
    targets, inputs = a.targets.take(torch.tensor([target])), a.rerun.inputs
    row = inputs.take(targets.picture)
    fill = inputs.blank if inputs.blank is not None else inputs.tensor.new_zeros(inputs.tensor.shape[-3])
    maps, score = (
        to_frame(m.values, m.frame, row.frame, outside="edge").float(),
        ViewRerun(a.rerun.view, inputs, targets).scores,
    )
    region = inside(row.frame)
    if m.time is None:
        (trust,) = assess(
            maps,
            row.tensor,
            score,
            fill=fill.to(inputs.tensor),
            grid=m.frame.size,
            level=bench.level,
            region=region,
            seed=bench.seed,
        )
        return trust
    frames = int(row.tensor.shape[1])
    (trust,) = assess(
        stacked(at_moments(maps, m.time, Axis(0.5, 1.0), frames)),
        stacked(row.tensor.movedim(1, 2)),
        lambda tall, target: score(tall.unflatten(2, (frames, -1)).movedim(2, 1), target),
        fill=fill.to(inputs.tensor),
        grid=(int(m.values.shape[1]), *m.frame.size),
        level=bench.level,
        region=stacked(region[:, None].expand(-1, frames, -1, -1)),
        frames=frames,
        seed=bench.seed,
        batch=CLIP_BATCH,
    )
    return trust


def stacked(values: Shaped[Tensor, "*b m h w"]) -> Shaped[Tensor, "*b mh w"]:
    """A clip's moments below each other, as one tall picture."""
    return values.flatten(-3, -2)


def _against_random_weights(
    bench: _Bench, shown: Sequence[LayerMap], windows: Sequence[Window | None], index: Tensor
) -> Cascade:
    def explain() -> Float[Tensor, "t h w"]:
        made = zip(index.tolist(), shown, windows, strict=True)
        # with other weights a finding may come on another grid
        return torch.cat(
            [
                _compared(to_frame((other := bench.alone(t)).values, other.frame, one.frame, outside="edge"), window)
                for t, one, window in made
            ]
        )

    view, seed = bench.attribution.rerun.view, bench.seed
    true = torch.cat([_compared(one.values, window) for one, window in zip(shown, windows, strict=True)])
    seeds = (seed,) if bench.level == "fast" else (seed, seed + 1, seed + 2)
    fractions = (1.0,) if bench.level == "fast" else (0.25, 0.5, 0.75, 1.0)
    return cascade(
        view.model, explain, maps=true, fractions=fractions, seeds=seeds, keep=tuple(getattr(view, "constants", ()))
    )


def inside(frame: Frame) -> Bool[Tensor, "t h w"]:
    """Which input pixels show the picture at all; a letterbox's margins are nothing to take away."""
    parts = []
    for one in frame:
        h, w = (int(v) for v in one.source_size.tolist())
        source = Frame.identity((h, w))
        parts.append(to_frame(torch.ones(h, w), source, one, mode="nearest") > 0)
    return torch.stack(parts)


def _window(values: Float[Tensor, "*m h w"]) -> Window | None:
    """Where a map is not 0, if that is less than a quarter of the grid; else None.

    A finding explained on its own level has a map that is 0 but for a few cells around its anchor, whatever the
    weights are. Compared over the whole grid, those zeros would always agree.
    """
    at = torch.nonzero(values)
    if values.ndim > 2 or not len(at) or len(at) * 4 > values.numel():
        return None
    (y0, x0), (y1, x1) = at.amin(0).tolist(), at.amax(0).tolist()
    return slice(y0, y1 + 1), slice(x0, x1 + 1)


def _compared(values: Float[Tensor, "1 *m h w"], window: Window | None) -> Float[Tensor, "1 i j"]:
    if window is None:
        return stacked(values) if values.ndim > 3 else values
    return F.interpolate(values[:, *window][None].float(), WINDOW, mode="bilinear", align_corners=False)[0]
