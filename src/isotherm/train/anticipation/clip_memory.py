"""Clips that were decoded, kept in memory for the next epoch as far as there is room."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import UInt8
from torch import Tensor

from isotherm.data.anticipation.transforms import TransformedClip


@dataclass(frozen=True, eq=False)
class ReadClip:
    """A clip as a batch is made of it.

    Args:
        pictures: (t, 3, h, w) RGB.
        clip: everything else of it; its own pictures are not looked at.
    """

    pictures: UInt8[Tensor, "t 3 h w"]
    clip: TransformedClip

    @property
    def bytes(self) -> int:
        """What it takes in memory, but for some numbers for each frame."""
        maps = None if self.clip.gaze is None else self.clip.gaze.maps
        return self.pictures.nbytes + (0 if maps is None else maps.nbytes)


class ClipMemory:
    """Clips by number, until there is no more room; none is dropped for another.

    Dropping the oldest would help nothing: in every epoch each clip is asked for once, so the oldest would be gone
    whenever its turn came.

    Args:
        limit_bytes: of all clips together; 0: nothing is kept.

    Example:
        >>> memory = ClipMemory(0)
        >>> memory.get(3), len(memory)
        (None, 0)
    """

    def __init__(self, limit_bytes: int) -> None:
        self._left, self._clips = limit_bytes, dict[int, ReadClip]()

    def __len__(self) -> int:
        return len(self._clips)

    def get(self, i: int) -> ReadClip | None:
        """A clip; None where it is not kept.

        Args:
            i: its number.
        """
        return self._clips.get(i)

    def keep(self, i: int, read: ReadClip) -> None:
        """Keep a clip, if there is room.

        Args:
            i: its number.
            read: the clip, the same in every epoch.
        """
        if i in self._clips or read.bytes > self._left:
            return
        frames = read.clip.video.shape[0]
        bare = replace(read, clip=replace(read.clip, video=torch.zeros(frames, 3, 0, 0)))
        self._clips[i] = bare
        self._left -= bare.bytes
