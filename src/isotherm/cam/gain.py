"""The evidence gain of maps of pictures and clips: how much better a class is known from what a map marks than from the
rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from isotherm.cam.fields import Axis
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.trace import LayerMap, Targets, at_moments
from isotherm.cam.view import Inputs, View
from isotherm.frame import Frame
from isotherm.metrics.fills import ground_fill
from isotherm.metrics.gain import Gain, evidence_gain, random_half, random_halves
from isotherm.metrics.ranking import rank_cells
from isotherm.metrics.references import mix
from isotherm.metrics.trust import UNSURE
from isotherm.ops.hashing import pixels_key
from isotherm.ops.resample import to_frame
from isotherm.relevance.judge import Pause, go_on

BATCH, CLIP_BATCH = 8, 4
"""Covered pictures, and clips, that go through the model together."""
SAME = 1e-5
"""Of a map's largest value, by how much equal maps differ."""


def picture_gain(
    view: View,
    inputs: Inputs,
    target: Targets,
    shown: LayerMap,
    *,
    thorough: bool = False,
    seed: int = 0,
    pause: Pause = go_on,
) -> Gain | None:
    """The gain of one map; None where its target is no class among others.

    Args:
        inputs: of the model; pictures or clips.
        target: the one that the map is of.
        shown: the map, one row.
        The others: as of :class:`CoveredPicture`.
    """
    return CoveredPicture(view, inputs, target, (0,), seed=seed, pause=pause).gain(0, shown, thorough=thorough)


class CoveredPicture:
    """One picture or clip of which parts are covered, and what is known of it: all its maps are judged by it.

    What no map decides goes through the model once for all maps and targets: the picture that is covered everywhere,
    and its random halves. Of equal maps of a target one is judged.

    Args:
        targets: of the pictures.
        chosen: numbers of those whose maps are judged; all of one picture.
        seed: of ties and random halves.
        pause: called before the model is run.
    """

    def __init__(
        self,
        view: View,
        inputs: Inputs,
        targets: Targets,
        chosen: Sequence[int],
        *,
        seed: int = 0,
        pause: Pause = go_on,
    ) -> None:
        index = torch.tensor(list(chosen))
        self._number = {target: i for i, target in enumerate(chosen)}
        self._targets, self._pause = targets.take(index), pause
        self._rerun = ViewRerun(view, inputs, self._targets)
        self._row = inputs.take(self._targets.picture[:1])
        self._key = mix(seed, pixels_key(self._row.tensor))
        self._known: list[tuple[int, LayerMap, Gain]] = []

    def gain(self, target: int, shown: LayerMap, *, thorough: bool = False) -> Gain | None:
        """The gain of one map; None where its target is no class among others.

        Args:
            target: the one that the map is of.
            shown: the map, one row.
            thorough: look at all fractions.
        """
        if self._targets.rivals is None or self._targets.which is None:
            return None
        number = self._number[target]
        for other, its, known in self._known:
            if other == number and _equal(shown, its):
                return known
        gain = self._gain(number, shown, thorough)
        self._known.append((number, shown, gain))
        return gain

    def _gain(self, number: int, shown: LayerMap, thorough: bool) -> Gain:
        assert self._targets.which is not None
        maps = to_frame(shown.values, shown.frame, self._row.frame, outside="edge").float()
        if shown.time is not None:
            maps = stacked(at_moments(maps, shown.time, Axis(0.5, 1.0), len(self._frames)))
        rank, units = rank_cells(maps[0].cpu(), region=self._everything, seed=self._key)
        own = torch.full((BATCH,), number)

        def logits(covers: Bool[Tensor, "n mh w"]) -> Float[Tensor, "n 1 k"]:
            return self._rerun.rival_logits(self._covered(covers), own[: len(covers)])[:, None]

        among = self._targets.among
        return evidence_gain(
            rank,
            units,
            logits,
            [int(self._targets.which[number])],
            empty=lambda: self._empty[:, number, None],
            halves=lambda: self._halves[:, number, None],
            whole=None if among is None else among[number, None].float(),
            unsure=UNSURE,
            thorough=thorough,
            batch=self._batch,
        )

    @property
    def _clip(self) -> bool:
        return self._row.tensor.ndim > 4

    @property
    def _frames(self) -> Float[Tensor, "m c h w"]:
        return self._row.tensor[0] if self._clip else self._row.tensor

    @property
    def _batch(self) -> int:
        return CLIP_BATCH if self._clip else BATCH

    @cached_property
    def _region(self) -> Bool[Tensor, "h w"]:
        return inside(self._row.frame)[0]

    @property
    def _everything(self) -> Bool[Tensor, "mh w"]:
        return self._region.repeat(len(self._frames), 1)

    @cached_property
    def _fill(self) -> Float[Tensor, "m c h w"]:
        frames = self._frames
        return ground_fill(frames, region=self._region.to(frames.device).expand(len(frames), -1, -1))

    def _covered(self, covers: Bool[Tensor, "n mh w"]) -> Float[Tensor, "n *m c h w"]:
        self._pause()
        over = covers.unflatten(1, (len(self._frames), -1)) if self._clip else covers
        return torch.where(over.unsqueeze(-3).to(self._row.tensor.device), self._fill, self._row.tensor)

    @cached_property
    def _empty(self) -> Float[Tensor, "1 t k"]:
        return self._of_each(self._everything[None])

    @cached_property
    def _halves(self) -> Float[Tensor, "n t k"]:
        size = (int(self._region.shape[0]), int(self._region.shape[1]))

        def half(number: int) -> Bool[Tensor, "mh w"]:
            return random_half(size, seed=mix(self._key, number)).repeat(len(self._frames), 1)

        return self._of_each(random_halves(half, self._everything))

    def _of_each(self, covers: Bool[Tensor, "n mh w"]) -> Float[Tensor, "n t k"]:
        everyone = torch.arange(len(self._targets))
        parts = covers.split(self._batch)
        return torch.cat([self._rerun.rival_logits_of_each(self._covered(part), everyone) for part in parts])


def _equal(mine: LayerMap, other: LayerMap) -> bool:
    """Whether two maps are equal, but for rounding."""
    if mine.values.shape != other.values.shape:
        return False
    near = SAME * float(mine.values.abs().max())
    alike = torch.allclose(mine.values, other.values, rtol=0, atol=near)
    return alike and mine.frame.to_source.equal(other.frame.to_source)


def stacked(values: Shaped[Tensor, "*b m h w"]) -> Shaped[Tensor, "*b mh w"]:
    """A clip's moments below each other, as one tall picture."""
    return values.flatten(-3, -2)


def inside(frame: Frame) -> Bool[Tensor, "t h w"]:
    """Which input pixels show the picture at all; a letterbox's margins are nothing to take away."""
    parts = []
    for one in frame:
        h, w = (int(v) for v in one.source_size.tolist())
        source = Frame.identity((h, w))
        parts.append(to_frame(torch.ones(h, w), source, one, mode="nearest") > 0)
    return torch.stack(parts)
