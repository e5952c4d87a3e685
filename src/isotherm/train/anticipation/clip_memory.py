"""Clips that were decoded, kept in memory for the next epoch as far as there is room."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor

from isotherm.data.anticipation.transforms import TransformedClip
from isotherm.data.gaze.clip import GazeClip

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ReadClip:
    """A clip as a batch is made of it.

    Args:
        pictures: (t, 3, h, w) RGB.
        clip: everything else of it; its own pictures are not looked at.
    """

    pictures: UInt8[Tensor, "t 3 h w"]
    clip: TransformedClip

    def bare(self) -> ReadClip:
        """The same without what is not looked at, which takes four times as much."""
        return replace(self, clip=replace(self.clip, video=torch.zeros(len(self.pictures), 3, 0, 0)))

    @property
    def n_bytes(self) -> int:
        """What it takes in memory when it is bare, but for some numbers for each frame."""
        return bytes_of(self.pictures, self.clip.gaze)


def bytes_of(pictures: UInt8[Tensor, "t 3 h w"], gaze: GazeClip | None) -> int:
    """What pictures and the maps of gaze beside them take in memory.

    Args:
        pictures: of a clip.
        gaze: of the same.
    """
    return pictures.nbytes + (0 if gaze is None or gaze.maps is None else gaze.maps.nbytes)


class ClipMemory(Generic[T]):
    """Something of every clip, by the clip's number, until there is no more room; nothing is dropped for another.

    Dropping the oldest would help nothing: in every epoch each clip is asked for once, so the oldest would be gone
    whenever its turn came.

    Args:
        limit_bytes: of all together; 0: nothing is kept.

    Example:
        >>> memory = ClipMemory[str](5)
        >>> memory.keep(3, "some", 4)
        >>> memory.keep(4, "more", 4)
        >>> memory.get(3), memory.get(4), len(memory)
        ('some', None, 1)
    """

    def __init__(self, limit_bytes: int) -> None:
        self._left, self._kept = limit_bytes, dict[int, T]()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, i: int) -> T | None:
        """What is kept of a clip; None where nothing is.

        Args:
            i: its number.
        """
        return self._kept.get(i)

    def room(self, n_bytes: int) -> bool:
        """Whether there is room for so much.

        Args:
            n_bytes: in memory.
        """
        return n_bytes <= self._left

    def keep(self, i: int, value: T, n_bytes: int) -> None:
        """Keep something of a clip, if there is room.

        Args:
            i: its number.
            value: the same in every epoch.
            n_bytes: what it takes in memory.
        """
        if i not in self._kept and self.room(n_bytes):
            self._kept[i] = value
            self._left -= n_bytes
