"""What a training takes of a set of clips: some of them by number, with gaze and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int, UInt8
from torch import Tensor

from isotherm.frame import Size
from isotherm.gaze.inputs import GazeInputs

HEADS = ("verb", "noun", "action")
"""What is anticipated, in the order of the labels."""


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """Clips as a model takes them.

    Args:
        video: (b, t, 3, h, w) RGB; None where there are features.
        gaze: of their frames.
        labels: (b, 3) classes of :data:`HEADS`; -1 where a class is not one of the training's.
        ahead_s: (b) seconds from the end of each clip to the beginning of what follows.
        features: (b, n, d) that a frozen encoder has made of the video before.
    """

    video: UInt8[Tensor, "b t 3 h w"] | None
    gaze: GazeInputs
    labels: Int[Tensor, "b 3"]
    ahead_s: Float[Tensor, " b"]
    features: Float[Tensor, "b n d"] | None = None


@runtime_checkable
class ClipData(Protocol):
    """Clips by number.

    Args:
        classes: of every head of :data:`HEADS` in words, in the order of their numbers.
        labels: (n, 3) of all clips, as in :class:`ClipBatch`.
        parts: (n) what part of the set each clip is of, a number into ``part_names``.
        part_names: the parts that figures are given for; one where there are no parts.
        frames: of a clip.
        rate_hz: of its frames.
        size: (h, w) of its pictures.
        slow: whether loading is worth a thread of its own beside the model's.
    """

    classes: Mapping[str, Sequence[str]]
    labels: Int[Tensor, "n 3"]
    parts: Int[Tensor, " n"]
    part_names: Sequence[str]
    frames: int
    rate_hz: float
    size: Size
    slow: bool

    def __len__(self) -> int: ...

    def batch(self, index: Int[Tensor, " b"], epoch: Int[Tensor, " b"] | None = None) -> ClipBatch:
        """Clips by number.

        Args:
            index: which.
            epoch: of each, which decides how it is changed; None: as it is.
        """
        ...
