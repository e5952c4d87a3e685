"""Maps of pictures and clips as cases for the judge: how pixels are taken away, and how a map is made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.cam.attribute import Attribution, Layers, attribute_again
from isotherm.cam.fields import Axis
from isotherm.cam.gain import CoveredPicture, inside, stacked
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.trace import Fuse, LayerMap, Targets, at_moments
from isotherm.metrics.assess import assess
from isotherm.metrics.trust import Trust
from isotherm.ops.names import known_word
from isotherm.ops.resample import to_frame
from isotherm.relevance.judge import FAST_TARGETS, Check, Level, Pause, judge
from isotherm.relevance.method import Method

Window = tuple[slice, slice]

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
) -> Callable[[int], Check]:
    """Row of a picture -> the check of its maps, targets in order and each target's methods side by side.

    A fast check judges the maps of the two targets that the model is surest of, wherever they stand; the others are
    None.

    Args:
        again: how the maps were made, for weights that are randomised; smoothed maps are compared with smoothed ones.
    """

    known_word(level, get_args(Level), "level")

    def of_picture(row: int) -> Check:
        index = torch.nonzero(attribution.targets.picture == row).flatten()
        chosen = index[_surest(attribution.targets.take(index))] if level == "fast" else index

        def verdicts(pause: Pause) -> tuple[Trust | None, ...]:
            rerun = attribution.rerun
            covered = CoveredPicture(
                rerun.view, rerun.inputs, attribution.targets, chosen.tolist(), seed=seed, pause=pause
            )
            benches = [_Bench(attribution, method, layers, how, again, pause, covered) for method in methods]
            by_method = [
                judge([bench.case(m, t) for t in chosen.tolist()], level, seed=seed)
                for bench, m in zip(benches, attribution.maps, strict=True)
            ]
            known = dict(zip(chosen.tolist(), zip(*by_method, strict=True), strict=True))
            nothing: tuple[Trust | None, ...] = (None,) * len(methods)
            return tuple(t for target in index.tolist() for t in known.get(target, nothing))

        among = set(chosen.tolist())
        return Check(tuple(target in among for target in index.tolist() for _ in methods), verdicts)

    return of_picture


def _surest(targets: Targets) -> Int[Tensor, " n"]:
    """The few targets of one picture with the highest confidence, or else score, in the targets' order; of equals the
    first come first.

    Parts of one finding have one confidence, and scores in units of their own: they come in the order that was asked
    for.
    """
    values = (targets.scores if targets.confidence is None else targets.confidence).detach().tolist()
    ranked = sorted(range(len(targets)), key=lambda i: -values[i])  # which keeps the order of equals
    return torch.tensor(sorted(ranked[:FAST_TARGETS]), dtype=torch.long)


@dataclass(frozen=True, eq=False)
class _Bench:
    """What is the same for all maps of one method.

    Args:
        again: how the maps were made.
        pause: called before the model is run.
        covered: the picture, by which all maps of all methods are judged.
        Others: as of :func:`assessor`.
    """

    attribution: Attribution
    method: Method
    layers: Layers
    how: Fuse
    again: Callable[..., tuple[tuple[LayerMap, ...], tuple[str, ...]]]
    pause: Pause
    covered: CoveredPicture

    def case(self, m: LayerMap, target: int) -> PictureCase:
        """One target's map on its own grid: what was enlarged for the sake of other findings is made again without
        them.
        """
        if m.sizes is not None and m.sizes[target] != m.frame.size:
            own = self.alone(target)
        else:
            own = LayerMap(m.name, m.values[target : target + 1], m.frame[target : target + 1], time=m.time)
        return PictureCase(self, own, target)

    def alone(self, target: int) -> LayerMap:
        """The map of one target as it comes with the weights that the model has now and nothing else asked for."""
        self.pause()
        targets = self.attribution.targets.take(torch.tensor([target]))
        row = self.attribution.rerun.inputs.take(targets.picture)
        (only,), _ = self.again(
            self.attribution.rerun.view, row, targets, methods=[self.method], layers=self.layers, how=self.how
        )
        return only


@dataclass(frozen=True, eq=False)
class PictureCase:
    """One target's map of a picture or clip. Fulfils :class:`isotherm.relevance.judge.Case`: pixels are taken away.

    Args:
        bench: what is the same for all maps of the method.
        shown: the map, one row.
        target: its number.
    """

    bench: _Bench
    shown: LayerMap
    target: int

    fractions: ClassVar[tuple[float, ...]] = (0.25, 0.5, 0.75, 1.0)
    calibrate: ClassVar[bool] = True

    @property
    def model(self) -> nn.Module:
        return self.bench.attribution.rerun.view.model

    @property
    def keep(self) -> tuple[str, ...]:
        return tuple(getattr(self.bench.attribution.rerun.view, "constants", ()))

    @cached_property
    def window(self) -> Window | None:
        """The cells that are compared with random weights; None: all."""
        return _window(self.shown.values[0])

    @property
    def alike(self) -> tuple[int, ...]:
        return WINDOW if self.window else tuple(self.shown.values.shape[1:])

    def values(self) -> Float[Tensor, "1 i j"]:
        return _compared(self.shown.values, self.window)

    @property
    def again(self) -> Callable[[], Float[Tensor, "1 i j"]] | None:
        """The map with other weights; None of a model whose weights are out of reach."""
        return self._with_other_weights if any(True for _ in self.model.parameters()) else None

    def _with_other_weights(self) -> Float[Tensor, "1 i j"]:
        # with other weights a finding may come on another grid
        other = self.bench.alone(self.target)
        return _compared(to_frame(other.values, other.frame, self.shown.frame, outside="edge"), self.window)

    def removal(self, level: Level, seed: int) -> Trust:
        gain = self.bench.covered.gain(self.target, self.shown, thorough=level == "full")
        if gain is not None and level == "fast":
            return Trust(gain=gain, evidence=bool((self.shown.values > 0).any()))
        return replace(self._curves(level, seed), gain=gain)

    @property
    def _targets(self) -> Targets:
        """The one that is judged."""
        return self.bench.attribution.targets.take(torch.tensor([self.target]))

    def _curves(self, level: Level, seed: int) -> Trust:
        """Deletion and insertion beside random maps and the centre."""
        a, m = self.bench.attribution, self.shown
        targets, inputs = self._targets, a.rerun.inputs
        row = inputs.take(targets.picture)
        fill = inputs.blank if inputs.blank is not None else inputs.tensor.new_zeros(inputs.tensor.shape[-3])
        maps, rerun = (
            to_frame(m.values, m.frame, row.frame, outside="edge").float(),
            ViewRerun(a.rerun.view, inputs, targets),
        )

        def score(pictures: Tensor, target: Tensor) -> Tensor:
            self.bench.pause()
            return rerun.scores(pictures, target)

        region = inside(row.frame)
        if m.time is None:
            (trust,) = assess(
                maps,
                row.tensor,
                score,
                fill=fill.to(inputs.tensor),
                grid=m.frame.size,
                level=level,
                region=region,
                seed=seed,
            )
            return trust
        frames = int(row.tensor.shape[1])
        (trust,) = assess(
            stacked(at_moments(maps, m.time, Axis(0.5, 1.0), frames)),
            stacked(row.tensor.movedim(1, 2)),
            lambda tall, target: score(tall.unflatten(2, (frames, -1)).movedim(2, 1), target),
            fill=fill.to(inputs.tensor),
            grid=(int(m.values.shape[1]), *m.frame.size),
            level=level,
            region=stacked(region[:, None].expand(-1, frames, -1, -1)),
            frames=frames,
            seed=seed,
            batch=CLIP_BATCH,
        )
        return trust


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
