"""Gaze over the frames of clips as models take it: batched, in the pixels of the model's input, with its states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Size

DropoutUnit = Literal["clip", "frame"]
"""What gaze dropout takes away at once: the gaze of a whole clip, or that of single frames."""


@dataclass(frozen=True, eq=False)
class GazeInputs:
    """Where somebody looked in every frame of b clips: one entry per input frame, not per tubelet.

    Args:
        xy: (b, t, 2) in the pixels of the model's input, edge-origin: (0, 0) to (w, h). Where the state is not
            TRACKED, 0 whatever was given, so that no model can learn from places that are not known.
        state: (b, t) of :class:`isotherm.data.gaze.states.GazeState`.
        confidence: (b, t) from 0 to 1; 0 where the state is not TRACKED.
        time_s: (b, t) before the end of the clip: at most 0.
        size: (h, w) of the model's input in pixels.
        maps: (b, t, H, W), at least 0, over the whole input at any resolution, where the gaze came as maps; None: maps
            are rendered from the points by whoever needs them. Zeros where the state is not TRACKED.

    Raises:
        ShapeError: parts that do not fit one another.
        OptionError: a state that there is not, a time after the end of the clip, or a TRACKED place that is not
            finite.

    Example:
        >>> gaze = GazeInputs.missing(1, 4, (32, 32))
        >>> gaze.state.tolist()
        [[1, 1, 1, 1]]
        >>> gaze.centred().xy[0, 0].tolist()
        [16.0, 16.0]
    """

    xy: Float[Tensor, "b t 2"]
    state: Int[Tensor, "b t"]
    confidence: Float[Tensor, "b t"]
    time_s: Float[Tensor, "b t"]
    size: Size
    maps: Float[Tensor, "b t H W"] | None = None

    def __post_init__(self) -> None:
        b, t = _batch_and_time(self.state)
        shapes: dict[str, tuple[int, ...]] = {"xy": (b, t, 2), "confidence": (b, t), "time_s": (b, t)}
        if self.maps is not None:
            shapes["maps"] = (b, t, *tuple(self.maps.shape)[-2:])
        for name, shape in shapes.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ShapeError(
                    f"{name} has shape {tuple(getattr(self, name).shape)}; expected {shape} to go with states of {(b, t)}"
                )
        if not torch.compiler.is_compiling():  # looking at values would break a compiled graph in two
            self._expect_values()
        tracked = self.tracked
        object.__setattr__(self, "xy", torch.where(tracked[..., None], self.xy, 0.0))
        object.__setattr__(self, "confidence", torch.where(tracked, self.confidence, 0.0))
        if self.maps is not None:
            object.__setattr__(self, "maps", torch.where(tracked[..., None, None], self.maps, 0.0))

    def _expect_values(self) -> None:
        known = torch.zeros_like(self.state, dtype=torch.bool)
        for state in GazeState:
            known |= self.state == int(state)
        if not bool(known.all()):
            raise OptionError(
                f"a state is {int(self.state[~known][0])}; expected {', '.join(f'{int(s)} ({s.name})' for s in GazeState)}"
            )
        if bool((self.time_s > 0).any()):
            raise OptionError(
                f"a time is {float(self.time_s.max()):g} s after the end of the clip; expected times of at most 0: gaze from the future must not reach the model"
            )
        tracked = self.tracked
        places = [self.xy[tracked]] if self.maps is None else [self.xy[tracked], self.maps[tracked]]
        if not all(bool(torch.isfinite(values).all()) for values in places):
            raise OptionError(
                "a TRACKED frame has a place or a map that is not finite; give such frames the state MISSING"
            )

    @classmethod
    def missing(cls, b: int, t: int, size: Size, *, time_s: Float[Tensor, "b t"] | None = None) -> GazeInputs:
        """Nothing is known of any frame.

        Args:
            b: clips.
            t: frames of each.
            size: (h, w) of the model's input.
            time_s: of the frames; 0 for all unless given, which no model of ours reads where nothing is known.
        """
        state = torch.full((b, t), int(GazeState.MISSING))
        nothing = torch.zeros(b, t)
        return cls(torch.zeros(b, t, 2), state, nothing, nothing if time_s is None else time_s, size)

    @classmethod
    def of_maps(
        cls,
        maps: Float[Tensor, "b t H W"],
        *,
        state: Int[Tensor, "b t"],
        time_s: Float[Tensor, "b t"],
        size: Size,
        confidence: Float[Tensor, "b t"] | None = None,
    ) -> GazeInputs:
        """Gaze of which maps alone are known: its places are the maps' centres of mass.

        Args:
            maps: (b, t, H, W), at least 0, over the whole input. An empty map of a TRACKED frame has its place in the
                middle and no mass.
            state: (b, t) of GazeState.
            time_s: (b, t) before the end of the clip.
            size: (h, w) of the model's input.
            confidence: (b, t); 1 unless given.
        """
        h, w = maps.shape[-2:]
        mass = maps.sum((-2, -1)).clamp(min=torch.finfo(maps.dtype).tiny)
        at_x = (maps.sum(-2) * torch.arange(0.5, w).to(maps)).sum(-1) / mass * (size[1] / w)
        at_y = (maps.sum(-1) * torch.arange(0.5, h).to(maps)).sum(-1) / mass * (size[0] / h)
        xy = torch.stack([at_x, at_y], dim=-1)
        middle = xy.new_tensor([size[1] / 2, size[0] / 2])
        xy = torch.where((maps.sum((-2, -1)) > 0)[..., None], xy, middle)
        return cls(xy, state, torch.ones_like(time_s) if confidence is None else confidence, time_s, size, maps)

    @classmethod
    def joined(cls, parts: Sequence[GazeInputs]) -> GazeInputs:
        """Several batches as one.

        Raises:
            ShapeError: none, inputs of several sizes or numbers of frames, or maps for some of them only.
        """
        sizes = {(part.size, part.frames, None if part.maps is None else tuple(part.maps.shape[2:])) for part in parts}
        if len(sizes) != 1:
            raise ShapeError(
                f"{len(parts)} parts of (size, frames, shape of maps) {sorted(map(str, sizes))}; expected at least one, and all alike"
            )
        names = ("xy", "state", "confidence", "time_s")
        xy, state, confidence, time_s = (torch.cat([getattr(part, name) for part in parts]) for name in names)
        maps = [part.maps for part in parts if part.maps is not None]
        return cls(xy, state, confidence, time_s, parts[0].size, torch.cat(maps) if maps else None)

    def __len__(self) -> int:
        return len(self.state)

    @property
    def frames(self) -> int:
        """How many frames each clip has."""
        return self.state.shape[1]

    @property
    def tracked(self) -> Bool[Tensor, "b t"]:
        """Whether the place is known and in the picture."""
        return self.state == int(GazeState.TRACKED)

    @property
    def places(self) -> Float[Tensor, "b t 2"]:
        """(x, y) as shares of the input's width and height, 0 to 1."""
        return self.xy / self.xy.new_tensor([self.size[1], self.size[0]])

    def to(self, device: torch.device | str) -> GazeInputs:
        """The same on another device."""
        maps = None if self.maps is None else self.maps.to(device)
        moved = {name: getattr(self, name).to(device) for name in ("xy", "state", "confidence", "time_s")}
        return replace(self, **moved, maps=maps)

    def clips(self, rows: Int[Tensor, " k"] | Sequence[int]) -> GazeInputs:
        """Those of some clips, in that order.

        Args:
            rows: numbers of clips.
        """
        at = torch.as_tensor(rows, device=self.state.device, dtype=torch.long)
        maps = None if self.maps is None else self.maps[at]
        kept = {name: getattr(self, name)[at] for name in ("xy", "state", "confidence", "time_s")}
        return replace(self, **kept, maps=maps)

    def where_missing(self, gone: Bool[Tensor, "b t"]) -> GazeInputs:
        """The same, but of some frames nothing is known.

        Args:
            gone: (b, t) of which.
        """
        return replace(self, state=torch.where(gone, int(GazeState.MISSING), self.state))

    def with_dropout(self, share: float, generator: torch.Generator, *, unit: DropoutUnit = "clip") -> GazeInputs:
        """The same, but of a random share of it nothing is known, so that a model learns to do without.

        Args:
            share: how likely a clip, or a frame, loses its gaze: 0 to 1.
            generator: on the processor, so that the same seed gives the same on every device.
            unit: see :data:`DropoutUnit`.

        Raises:
            OptionError: a share outside of 0 to 1, or another unit.
        """
        if not 0 <= share <= 1:
            raise OptionError(f"share is {share}; expected a number from 0 to 1")
        if unit not in get_args(DropoutUnit):
            raise OptionError(f"unit is {unit!r}; expected one of {', '.join(get_args(DropoutUnit))}")
        b, t = self.state.shape
        gone = torch.rand(b, t if unit == "frame" else 1, generator=generator) < share
        return self.where_missing(gone.expand(b, t).to(self.state.device))

    def shuffled(self, order: Int[Tensor, " b"] | Sequence[int]) -> GazeInputs:
        """Every clip with the gaze of another: what is left of a model's accuracy does not come from its own gaze.

        Args:
            order: clip i gets the gaze of clip ``order[i]``; a permutation of all clips, such as :func:`derangement`.

        Raises:
            OptionError: not a permutation.
        """
        at = torch.as_tensor(order, dtype=torch.long)
        if sorted(at.tolist()) != list(range(len(self))):
            raise OptionError(f"order is {at.tolist()}; expected each of 0 to {len(self) - 1} once")
        return self.clips(at)

    def shifted(self, frames: int) -> GazeInputs:
        """The gaze of other moments of the same clip: frame i gets that of frame i - frames, going round at the ends.

        Going round keeps all places of the clip, so that nothing but their order and moments change.

        Args:
            frames: by how many; below 0, frames get the gaze of later ones of the same clip.
        """
        maps = None if self.maps is None else self.maps.roll(frames, 1)
        moved = {name: getattr(self, name).roll(frames, 1) for name in ("xy", "state", "confidence")}
        return replace(self, **moved, maps=maps)

    def centred(self) -> GazeInputs:
        """As if somebody had looked at the middle of every frame: what a bias to the centre alone gives.

        Maps that were given are left out, as they are those of other places.
        """
        middle = self.xy.new_tensor([self.size[1] / 2, self.size[0] / 2])
        state = torch.full_like(self.state, int(GazeState.TRACKED))
        return replace(
            self, xy=middle.expand(self.xy.shape), state=state, confidence=torch.ones_like(self.confidence), maps=None
        )


def derangement(n: int, generator: torch.Generator) -> Int[Tensor, " {n}"]:
    """A random order in which nothing stays at its place.

    Args:
        n: how many; at least 2.
        generator: on the processor.

    Raises:
        OptionError: fewer than two.

    Example:
        >>> bool((derangement(5, torch.Generator().manual_seed(0)) == torch.arange(5)).any())
        False
    """
    if n < 2:
        raise OptionError(f"n is {n}; expected at least 2: one thing alone cannot change its place")
    # a random cycle through all: every element goes to the place of the next
    cycle = torch.randperm(n, generator=generator)
    order = torch.empty(n, dtype=torch.long)
    order[cycle] = cycle.roll(-1)
    return order


def _batch_and_time(state: Tensor) -> tuple[int, int]:
    b, t = state.shape
    return int(b), int(t)
