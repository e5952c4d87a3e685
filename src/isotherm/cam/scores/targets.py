"""Targets: the scores that are to be explained, and how to read the same scores again from changed pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.view import Pins, Prediction

Read = Callable[[Prediction, Tensor], Tensor]
"""(prediction with one row per changed picture, target (n,)) -> (n,) scores, differentiable."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The scores to explain in one batch of pictures.

    Args:
        scores: (t,) differentiable.
        picture: (t,) row of the batch each is about.
        labels: one line for people per target.
        read: the same scores from the prediction for changed pictures.
        pins: the findings to read again, one per target; for detectors.
        boxes: (t, 4) in input pixels, detached; for detectors.
        finding: (t,) position of the finding in its picture's list, counted from 0; for detectors.
        confidence: (t,) what the model itself reports for it, in [0, 1], where it does.
        rows: (t,) rows of the Detections;
        part: which part of the finding is explained, per target.
        probability: (t,) of the class, in [0, 1], where the model's classes exclude each other.
        of: what the scores are by nature, ``logit`` say, where all of them are one thing.
    """

    scores: Float[Tensor, " t"]
    picture: Int[Tensor, " t"]
    labels: tuple[str, ...]
    read: Read
    pins: Pins | None = None
    boxes: Float[Tensor, "t 4"] | None = None
    finding: Int[Tensor, " t"] | None = None
    confidence: Float[Tensor, " t"] | None = None
    rows: Int[Tensor, " t"] | None = None
    part: tuple[str, ...] = ()
    probability: Float[Tensor, " t"] | None = None
    of: str | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Int[Tensor, " n"]) -> Targets:
        """Some of the targets; ``read`` still speaks of the original numbering, shifted by ``index``."""
        index = index.cpu()

        def pick(t: Tensor | None) -> Tensor | None:
            return None if t is None else t[index.to(t.device)]

        read = self.read
        return Targets(
            self.scores[index.to(self.scores.device)],
            self.picture[index],
            tuple(self.labels[i] for i in index.tolist()),
            lambda prediction, target: read(prediction, index[target.cpu()]),
            None if self.pins is None else self.pins.take(index),
            pick(self.boxes),
            pick(self.finding),
            pick(self.confidence),
            pick(self.rows),
            tuple(self.part[i] for i in index.tolist()) if self.part else (),
            pick(self.probability),
            self.of,
        )


def rows(n: int, target: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Row numbers 0..n-1 and the targets, both on the device of ``like``, for gathering."""
    return torch.arange(n, device=like.device), target.to(like.device)
