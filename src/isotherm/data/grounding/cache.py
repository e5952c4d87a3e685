"""Instructions as arrays: every picture decoded once, however many instructions are about it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from isotherm.data.grounding.records import GroundingRecord, GroundingSet
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.frame import Frame
from isotherm.points import State
from isotherm.progress import Say, silent


@dataclass(frozen=True, eq=False)
class Truth:
    """What instructions mean, as tensors.

    Args:
        points: (b, v, s, m, 2) of every picture and step, (x, y) in source pixels; NaN where there are fewer than m.
        state: (b, v, s, m) of :class:`isotherm.points.State`.
        angle_rad, width_px: (b, v, s, m) of grasps; NaN where it is none.
    """

    points: Float[Tensor, "b v s m 2"]
    state: Int[Tensor, "b v s m"]
    angle_rad: Float[Tensor, "b v s m"]
    width_px: Float[Tensor, "b v s m"]

    def __getitem__(self, index: Int[Tensor, " b"]) -> Truth:
        return Truth(self.points[index], self.state[index], self.angle_rad[index], self.width_px[index])

    def __len__(self) -> int:
        return len(self.points)

    @property
    def known(self) -> Tensor:
        """(b, v, s) whether any place of a map is known."""
        return (self.state == int(State.LABELLED)).any(-1)

    @classmethod
    def of(cls, records: Sequence[GroundingRecord]) -> Truth:
        """That of records of equally many pictures and steps."""
        v = len(records[0].pictures) if records else 1
        s = len(records[0].places) if records else 1
        most = max((len(p.points) for r in records for step in r.places for p in step if p is not None), default=1)
        shape = (len(records), v, s, most)
        truth = cls(
            torch.full((*shape, 2), torch.nan),
            torch.zeros(shape, dtype=torch.long),
            torch.full(shape, torch.nan),
            torch.full(shape, torch.nan),
        )
        for i, record in enumerate(records):
            for k, step in enumerate(record.places):
                for j, place in enumerate(step):
                    if place is None:
                        continue
                    m = len(place.points)
                    truth.points[i, j, k, :m] = place.points
                    truth.state[i, j, k, :m] = int(State.LABELLED)
                    if place.angle_rad is not None and place.width_px is not None:
                        truth.angle_rad[i, j, k, :m] = place.angle_rad
                        truth.width_px[i, j, k, :m] = place.width_px
        return truth


@dataclass(frozen=True, eq=False)
class CachedGrounding:
    """A set of instructions.

    Args:
        pictures: (p, 3, s, s) uint8, read from disk as they are needed.
        frame: (p,) of these pictures.
        which: (m, v) the number of each picture of each instruction.
        texts: (m).
        truth: (m).
        records: (m), without those skipped.
        skipped: what could not be read, one message each.
    """

    pictures: UInt8[np.ndarray, "p 3 s s"]
    frame: Frame
    which: Int[Tensor, "m v"]
    texts: tuple[str, ...]
    truth: Truth
    records: tuple[GroundingRecord, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)


def cache_grounding(
    data: GroundingSet, dpath: str | os.PathLike[str], *, side: int, skip_bad: bool = False, say: Say = silent
) -> CachedGrounding:
    """Decode every picture once, letterboxed into a square, or find it done; raises as
    :func:`isotherm.data.keypoint_cache.cache_keypoints`.

    Args:
        data: the set.
        dpath: a folder for the file.
        side: of the squares, in cells.
        skip_bad: leave out instructions about pictures that cannot be read, with a message each.
        say: is told how far it is.
    """
    number = dict[object, int]()
    pictures = list[KeypointRecord]()
    nothing = torch.full((1, 2), torch.nan), torch.zeros(1, dtype=torch.long)
    for record in data:
        for picture in record.pictures:
            if _key(picture) not in number:
                number[_key(picture)] = len(pictures)
                pictures.append(
                    KeypointRecord(picture=picture, points=nothing[0], state=nothing[1], origin=record.origin)
                )
    kinds = KeypointSet(records=pictures, names=("place",))
    cached = cache_keypoints(kinds, dpath, side=side, skip_bad=skip_bad, say=say)
    row = {_key(record.picture): i for i, record in enumerate(cached.records)}
    kept = [r for r in data if all(_key(p) in row for p in r.pictures)]
    which = torch.tensor([[row[_key(p)] for p in r.pictures] for r in kept], dtype=torch.long)
    return CachedGrounding(
        cached.pictures,
        cached.frame,
        which.view(len(kept), data.views),
        tuple(r.text for r in kept),
        Truth.of(kept),
        tuple(kept),
        (*data.skipped, *cached.skipped),
    )


def _key(picture: Path | np.ndarray) -> object:
    return id(picture) if isinstance(picture, np.ndarray) else picture
