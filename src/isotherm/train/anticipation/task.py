"""The task of the loop that trains an anticipation model, or a grid of probes on one at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.model import AnticipationModel
from isotherm.gaze.objective import ClassLoss, anticipation_loss
from isotherm.train.anticipation.build import encoder_input
from isotherm.train.anticipation.clip_data import HEADS, ClipBatch, ClipData
from isotherm.train.anticipation.gaze_use import GazeUse
from isotherm.train.anticipation.seen import Seen
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
        keep_epochs: how often it is validated and kept, in place of ``keep_every``; None: as that says.
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
    keep_epochs: float | None = None
    loss: ClassLoss = "focal"
    probes: tuple[ProbeRate, ...] = ()
    gaze: GazeUse = field(default_factory=GazeUse)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "keep_epochs"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise OptionError(f"{name} is {value}; expected a number above 0, or None")
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

    Attributes:
        seen: how often the answers in training were right.
        waited_s: seconds for which the model has waited for clips.
    """

    def __init__(self, config: AnticipationTraining, model: AnticipationModel, data: ClipData) -> None:
        self.config, self.model, self.net, self.data = config, model, model, data
        self.count = len(data)
        self.seen = Seen()
        self.waited_s = 0.0
        self._names: list[str] = []
        self._coming: dict[tuple[tuple[int, ...], tuple[int, ...]], Future[ClipBatch]] = {}
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="clips") if data.slow else None
        if len(model.probes) != len(config.grid):
            raise OptionError(f"the model has {len(model.probes)} probes for a grid of {len(config.grid)}")

    def groups(self) -> list[ParameterGroup]:
        """Each probe with its own rate and decay; whatever else is trained with those of the recipe."""
        own = {id(p) for p in self.net.probes.parameters()}
        rest = [p for p in self.net.parameters() if p.requires_grad and id(p) not in own]
        parts = [(one.rate, one.decay, list(self.net.probes[i].parameters())) for i, one in enumerate(self.config.grid)]
        parts.append((self.config.rate, self.config.decay, rest))
        names = [*(f"rate probe {i}" for i in range(len(self.config.grid))), "rate model"]
        groups = [
            (name, ParameterGroup(rate=rate, decay=decay if decays else 0.0, parameters=some))
            for name, (rate, decay, parameters) in zip(names, parts, strict=True)
            for decays in (True, False)
            if (some := [p for p in parameters if (p.ndim >= 2) == decays])
        ]
        self._names = [name for name, _ in groups]
        return [group for _, group in groups]

    def rate_figures(self, groups: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """That of each probe, and of whatever else is trained."""
        return {name: float(group["lr"]) for name, group in zip(self._names, groups, strict=True)}

    def expect(self, parts: Sequence[tuple[Int[Tensor, " b"], Int[Tensor, " b"]]]) -> None:
        """Clips of videos are decoded by a thread beside the model's."""
        if self._loader is not None:
            for index, epoch in parts:
                self._coming[_key(index, epoch)] = self._loader.submit(self.data.batch, index, epoch)

    def _batch(self, index: Int[Tensor, " b"], epoch: Int[Tensor, " b"]) -> ClipBatch:
        coming = self._coming.pop(_key(index, epoch), None)
        began = time.perf_counter()
        batch = self.data.batch(index, epoch) if coming is None else coming.result()
        self.waited_s += time.perf_counter() - began
        return batch

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
        batch = self._batch(index, epoch)
        gaze = None
        if self.net.fusion is not None:
            gaze = self.config.gaze.in_training(batch.gaze, index, epoch, self.config.seed)
        losses, logits = self.losses(forward, batch, gaze, device=device, blind=self.config.gaze.blind)
        self.seen.add(logits, labels_of(batch, device))
        # the published loss is a sum over the batch, to which Adam's steps are blind; the loop's is a mean over clips
        return Part(losses.sum() / (len(index) if self.config.loss == "focal" else 1), None)

    def losses(
        self,
        forward: nn.Module,
        batch: ClipBatch,
        gaze: GazeInputs | None,
        *,
        device: torch.device,
        blind: bool = False,
    ) -> tuple[Float[Tensor, "*p"], dict[str, Float[Tensor, "..."]]]:
        """(loss of each probe, logits by head).

        Args:
            forward: the model.
            batch: of clips.
            gaze: what the model is told; None: it takes none.
            device: of the model.
            blind: grey pictures in place of the video.
        """
        shown = encoder_input(batch, device, blind=blind)
        known = None if gaze is None or self.net.fusion is None else gaze.to(device)
        logits = forward(shown, known, ahead_s=batch.ahead_s.to(device))
        with torch.autocast(device.type, enabled=False):
            losses = anticipation_loss(
                {name: values.float() for name, values in logits.items()},
                labels_of(batch, device),
                loss=self.config.loss,
            )
        return losses, logits


def _key(index: Int[Tensor, " b"], epoch: Int[Tensor, " b"]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(index.tolist()), tuple(epoch.tolist())


def labels_of(batch: ClipBatch, device: torch.device) -> dict[str, Int[Tensor, " b"]]:
    """Labels by head.

    Args:
        batch: of clips.
        device: where to.
    """
    return {name: batch.labels[:, i].to(device) for i, name in enumerate(HEADS)}
