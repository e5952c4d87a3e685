"""Clips of a square that moves in space and in time, and where a view says that the square is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from isotherm.cam.capture import record
from isotherm.cam.clips import Clip
from isotherm.cam.receptive import following
from isotherm.frame import Frame
from isotherm.moments import Moments
from isotherm.relevance.modules import resolve


@dataclass(frozen=True)
class Square:
    """Where a square is: around ``at`` (x, y) in the frames from ``lasts[0]`` to ``lasts[1]``, the last not included."""

    at: tuple[float, float]
    lasts: tuple[int, int]
    side: int = 16


def square_clips(size: tuple[int, int], frames: int, squares: Sequence[Square], *, seed: int = 0) -> list[Clip]:
    """Faint noise, and for each square the same with strong noise in it."""
    rng = np.random.default_rng(seed)
    base = (110 + rng.integers(0, 16, (frames, *size, 3))).astype(np.uint8)
    clips = [Clip(base)]
    for square in squares:
        lit = base.copy()
        x, y = (round(v - square.side / 2) for v in square.at)
        part = lit[slice(*square.lasts), y : y + square.side, x : x + square.side]
        part[...] = rng.integers(0, 256, part.shape, dtype=np.uint8)
        clips.append(Clip(lit))
    return clips


@dataclass(frozen=True)
class Sighting:
    """One map of a clip: (m, h, w) values, the frame, the moments, and the square that it should have seen."""

    values: torch.Tensor
    frame: Frame
    moments: Moments
    square: Square


def changes(view, layers: Sequence[str], clips: Sequence[Clip], squares: Sequence[Square]) -> dict[str, list[Sighting]]:
    """How much each cell of some layers changes from the first clip to each of the others."""
    inputs = view.prepare(clips)
    refs = resolve(view.model, list(layers))
    names = [f"{ref.name}@0" for ref in refs]
    with following(view.model, inputs.tensor, names) as place:
        recording = record(view.model, partial(view.run, inputs), refs, gradient=False)
    found = {}
    for name, layer, call in zip(names, layers, recording.calls, strict=True):
        place(name, call.output)
        layout = view.layout(layer, call.output, inputs)
        field = place(name, call.output, dims=layout.cell_dims, grid=layout.cells)
        grid = layout.to_grid(call.output).double()
        change = (grid[1:] - grid[:1]).square().sum(1)
        frame = layout.frame(inputs, tuple(grid.shape[-2:]), field)[0]
        time = layout.time_axis(inputs, change.shape[1], field)
        moments = inputs.timelines[0].moments(time.first, time.stride, change.shape[1])
        found[layer] = [
            Sighting(values, frame, moments, square) for values, square in zip(change, squares, strict=True)
        ]
    return found


def peak_of(values: torch.Tensor) -> tuple[int, int, int]:
    """(moment, row, column) of the largest value."""
    moment, row, column = np.unravel_index(int(values.argmax()), values.shape)
    return int(moment), int(row), int(column)


@dataclass(frozen=True)
class Miss:
    """How far a peak is from the square: right of it, below it, in cells; and later than it, in moments."""

    x: float
    y: float
    time: int


def miss_of(seen: Sighting) -> Miss:
    """Where the peak of a clip's map is, seen from where the square is; moments that it lasts in are no miss."""
    moment, row, column = peak_of(seen.values)
    x, y = seen.frame.points_from_source(torch.tensor([list(seen.square.at)], dtype=torch.float64))[0].tolist()
    true = {seen.moments.of_frame(f) for f in range(*seen.square.lasts)}
    return Miss(column + 0.5 - x, row + 0.5 - y, min((moment - t for t in true), key=abs))


def assert_follows(seen: Sequence[Sighting], *, exact: float = 0.9, cells: float = 1.0) -> None:
    """Every peak is within ``cells`` cells of the middle of the square and one moment of it.

    On average it is within half a cell, and a share ``exact`` of them in a moment that the square lasts in.
    """
    misses = [miss_of(one) for one in seen]
    assert all(max(abs(m.x), abs(m.y)) <= cells and abs(m.time) <= 1 for m in misses), misses
    assert sum(m.time == 0 for m in misses) >= exact * len(misses), misses
    assert max(abs(sum(m.x for m in misses)), abs(sum(m.y for m in misses))) <= 0.5 * len(misses), misses


# --- ways to get it wrong, each of which must be seen ---------------------------------------------------------------


def shifted_right(seen: Sighting) -> Sighting:
    h, w = seen.frame.size
    return replace(seen, frame=seen.frame.cropped((-1, 0, w - 1, h)))


def shifted_down(seen: Sighting) -> Sighting:
    h, w = seen.frame.size
    return replace(seen, frame=seen.frame.cropped((0, -1, w, h - 1)))


def shifted_in_time(seen: Sighting) -> Sighting:
    return replace(seen, values=seen.values.roll(1, 0))


def backwards(seen: Sighting) -> Sighting:
    return replace(seen, values=seen.values.flip(0))


def mirrored(seen: Sighting) -> Sighting:
    return replace(seen, values=seen.values.flip(2))


def uncropped(seen: Sighting) -> Sighting:
    """The frame forgets that the sides were cut off."""
    return replace(seen, frame=Frame.resize(seen.frame.source_size.tolist(), seen.frame.size))


WRONG = (shifted_right, shifted_down, shifted_in_time, backwards, mirrored, uncropped)
