"""The task of the loop that trains an anticipation model, or a grid of probes on one at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.gaze.model import AnticipationModel
from isotherm.gaze.objective import ClassLoss, anticipation_loss
from isotherm.train.anticipation.build import normalised
from isotherm.train.anticipation.clip_data import HEADS, ClipBatch, ClipData
from isotherm.train.anticipation.gaze_use import GazeUse
from isotherm.train.loop import LoopConfig, Part, Task
from isotherm.train.parameters import ParameterGroup


@dataclass(frozen=True, kw_only=True)
class ProbeRate:
    """How one probe of a grid is trained.

    Args:
        rate: peak learning rate.
        decay: weight decay.
    """

    rate: float
    decay: float

    def __post_init__(self) -> None:
        if not self.rate > 0 or not self.decay >= 0:
            raise OptionError(f"a probe has rate {self.rate} and decay {self.decay}; expected above 0, and at least 0")


@dataclass(frozen=True, kw_only=True)
class AnticipationTraining(LoopConfig):
    """A recipe; the rest of it is in :class:`isotherm.train.loop.LoopConfig`.

    Args:
        epochs: how often every clip is seen, in place of ``steps``; None: as many steps as are given.
        loss: 'focal', as published, or 'cross_entropy'.
        probes: rate and decay of every probe of a grid, trained at once on the same features; empty: one, with ``rate``
            and ``decay``.
        gaze: what the model is told of gaze.
    """

    batch: int = 16
    rate: float = 1e-3
    decay: float = 0.05
    clip: float | None = None
    epochs: float | None = None
    loss: ClassLoss = "focal"
    probes: tuple[ProbeRate, ...] = ()
    gaze: GazeUse = field(default_factory=GazeUse)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None and not 0 < self.epochs < float("inf"):
            raise OptionError(f"epochs is {self.epochs}; expected a number above 0, or None")
        if self.clip is not None and len(self.probes) > 1:
            raise OptionError(
                f"clip is {self.clip}, the norm of the gradients of all {len(self.probes)} probes together, so that each would depend on the others; leave it out"
            )

    @property
    def grid(self) -> tuple[ProbeRate, ...]:
        """Of all probes."""
        return self.probes or (ProbeRate(rate=self.rate, decay=self.decay),)


class AnticipationTask(Task):
    """What happens next.

    Args:
        config: the recipe.
        model: with as many probes as the recipe's grid.
        data: clips by number.
    """

    def __init__(self, config: AnticipationTraining, model: AnticipationModel, data: ClipData) -> None:
        self.config, self.model, self.net, self.data = config, model, model, data
        self.count = len(data)
        if len(model.probes) != len(config.grid):
            raise OptionError(f"the model has {len(model.probes)} probes for a grid of {len(config.grid)}")

    def groups(self) -> list[ParameterGroup]:
        """Each probe with its own rate and decay; whatever else is trained with those of the recipe."""
        own = {id(p) for p in self.net.probes.parameters()}
        rest = [p for p in self.net.parameters() if p.requires_grad and id(p) not in own]
        parts = [(one.rate, one.decay, list(self.net.probes[i].parameters())) for i, one in enumerate(self.config.grid)]
        parts.append((self.config.rate, self.config.decay, rest))
        return [
            ParameterGroup(rate=rate, decay=decay if decays else 0.0, parameters=some)
            for rate, decay, parameters in parts
            for decays in (True, False)
            if (some := [p for p in parameters if (p.ndim >= 2) == decays])
        ]

    def labelled(self, index: Int[Tensor, " b"]) -> tuple[int, int]:
        return len(index), len(index)

    def part(
        self,
        forward: nn.Module,
        index: Int[Tensor, " b"],
        epoch: Int[Tensor, " b"],
        *,
        done: float,
        device: torch.device,
    ) -> Part:
        batch = self.data.batch(index, epoch)
        gaze = None
        if self.net.fusion is not None:
            gaze = self.config.gaze.in_training(batch.gaze, index, epoch, self.config.seed).to(device)
        video = normalised(batch.video, device)
        logits = forward(video * 0 if self.config.gaze.blind else video, gaze, ahead_s=batch.ahead_s.to(device))
        with torch.autocast(device.type, enabled=False):
            losses = anticipation_loss(
                {name: values.float() for name, values in logits.items()},
                labels_of(batch, device),
                loss=self.config.loss,
            )
        # the published loss is a sum over the batch, to which Adam's steps are blind; the loop's is a mean over clips
        return Part(losses.sum() / (len(index) if self.config.loss == "focal" else 1), None)


def labels_of(batch: ClipBatch, device: torch.device) -> dict[str, Int[Tensor, " b"]]:
    """Labels by head.

    Args:
        batch: of clips.
        device: where to.
    """
    return {name: batch.labels[:, i].to(device) for i, name in enumerate(HEADS)}
