"""The task of the loop that trains a grounding model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor, nn

from isotherm.data.grounding.augment import GroundingAugmentation, draw_for_texts
from isotherm.data.grounding.cache import CachedGrounding, Truth
from isotherm.data.keypoint_augment import recolour, warp
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.grounding.model import GroundingModel
from isotherm.grounding.outputs import Outputs
from isotherm.train.collapse import CollapseWatch
from isotherm.train.grounding.objective import GroundingObjective
from isotherm.train.loop import LoopConfig, Part, Task
from isotherm.train.parameters import ParameterGroup
from isotherm.vlm.batch import PromptBatch


@dataclass(frozen=True, kw_only=True)
class GroundingTraining(LoopConfig):
    """A recipe; the rest of it is in :class:`isotherm.train.loop.LoopConfig`.

    Args:
        language_rate: factor of the head's rate for what is trained of the language model: all of it, or its low-rank
            matrices.
        objective: targets and their widths.
        augmentation: how pictures are changed.
    """

    steps: int = 1000
    batch: int = 8
    rate: float = 1e-3
    decay: float = 0.05
    language_rate: float = 0.1
    objective: GroundingObjective = field(default_factory=GroundingObjective)
    augmentation: GroundingAugmentation = field(default_factory=GroundingAugmentation)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.language_rate < float("inf"):
            raise OptionError(f"language_rate is {self.language_rate}; expected a finite factor of at least 0")


@dataclass(frozen=True, eq=False)
class GroundingBatch:
    """Instructions with their pictures as the model is shown them.

    Args:
        pictures: (b, v, 3, h, w) uint8.
        texts: (b).
        frame: (b, v) of the pictures.
        truth: (b).
    """

    pictures: UInt8[Tensor, "b v 3 h w"]
    texts: tuple[str, ...]
    frame: Frame
    truth: Truth


@runtime_checkable
class GroundingData(Protocol):
    """What a task trains on: instructions by number."""

    @property
    def count(self) -> int:
        """Instructions."""
        ...

    def known(self, index: Int[Tensor, " b"]) -> tuple[int, int]:
        """Of instructions by number: how many maps have a known place, and how many maps there are."""
        ...

    def batch(self, index: Int[Tensor, " b"], epoch: Int[Tensor, " b"], *, seed: int) -> GroundingBatch:
        """Instructions by number, changed as the seed and each one's epoch and number say."""
        ...


class AugmentedData:
    """Instructions from a cache, changed anew in every epoch.

    Args:
        data: the cache.
        augmentation: how.
        side: of the squares that the model is shown.
    """

    def __init__(self, data: CachedGrounding, augmentation: GroundingAugmentation, *, side: int) -> None:
        self.data, self.augmentation, self.side = data, augmentation, side

    @property
    def count(self) -> int:
        """Instructions."""
        return len(self.data)

    def known(self, index: Int[Tensor, " b"]) -> tuple[int, int]:
        """As of :class:`GroundingData`."""
        known = self.data.truth[index].known
        return int(known.sum()), known.numel()

    def batch(self, index: Int[Tensor, " b"], epoch: Int[Tensor, " b"], *, seed: int) -> GroundingBatch:
        """As of :class:`GroundingData`."""
        data, size = self.data, (self.side, self.side)
        which = data.which[index]
        b, v = which.shape
        texts = tuple(data.texts[i] for i in index.tolist())
        # every view of an instruction is changed by itself
        number = (index[:, None] * v + torch.arange(v)).flatten()
        drawn = draw_for_texts(
            self.augmentation,
            [text for text in texts for _ in range(v)],
            number,
            seed=seed,
            epoch=epoch[:, None].expand(b, v).flatten(),
            cached=data.frame.size,
            size=size,
        )
        kept = torch.from_numpy(data.pictures[which.flatten().numpy()])
        shown, frame = warp(kept, data.frame[which.flatten()], drawn, size)
        shown = recolour(shown, drawn, self.augmentation)
        frames = Frame(frame.to_source.unflatten(0, (b, v)), size, frame.source_size.unflatten(0, (b, v)))
        pictures = (shown * 255).round().to(torch.uint8).unflatten(0, (b, v))
        return GroundingBatch(pictures, texts, frames, data.truth[index])


def as_arrays(pictures: UInt8[Tensor, "b v 3 h w"]) -> list[list[UInt8[np.ndarray, "h w 3"]]]:
    """The pictures of every prompt as arrays (h, w, 3)."""
    return [list(several) for several in pictures.permute(0, 1, 3, 4, 2).contiguous().numpy()]


class GroundingTask(Task):
    """Maps of what instructions mean.

    Args:
        config: the recipe.
        model: what is trained.
        data: instructions by number.
        outputs: what the channels of the head are.
        cells: (h, w) of the maps, for what is said of them.
    """

    def __init__(
        self,
        config: GroundingTraining,
        model: GroundingModel,
        data: GroundingData,
        outputs: Outputs,
        *,
        cells: tuple[int, int],
    ) -> None:
        self.config, self.model, self.net, self.data, self.outputs = config, model, model, data, outputs
        self.count, self.cells = data.count, cells

    def groups(self) -> list[ParameterGroup]:
        """The head, and what of the language model is trained; norms and biases do not decay."""
        return grounding_groups(self.net, self.config)

    def watch(self) -> CollapseWatch:
        """Maps of instructions collapse together."""
        return CollapseWatch("logits", self.cells)

    def labelled(self, index: Int[Tensor, " b"]) -> tuple[int, int]:
        return self.data.known(index)

    def prompts(self, batch: GroundingBatch) -> PromptBatch:
        """What the model is asked."""
        return self.net.batch(as_arrays(batch.pictures), batch.texts)

    def part(
        self,
        forward: nn.Module,
        index: Int[Tensor, " b"],
        epoch: Int[Tensor, " b"],
        *,
        done: float,
        device: torch.device,
    ) -> Part:
        batch = self.data.batch(index, epoch, seed=self.config.seed)
        prompts = self.prompts(batch)
        outputs = forward(prompts)
        with torch.autocast(device.type, enabled=False):
            outputs = outputs.float()
            frame = self.net.output_frame(prompts, batch.frame)
            loss = self.config.objective.loss_of(outputs, self.outputs, to(batch.truth, outputs), frame, done=done)
        return Part(loss, self.outputs.heatmaps(outputs).flatten(1, 2))


def to(truth: Truth, like: Tensor) -> Truth:
    """The truth on the device of a tensor."""
    parts = (truth.points, truth.state, truth.angle_rad, truth.width_px)
    return Truth(*(part.to(like.device) for part in parts))


def grounding_groups(model: GroundingModel, config: GroundingTraining) -> list[ParameterGroup]:
    """What is trained of a grounding model, by rate and decay.

    Args:
        model: whose frozen weights are left out.
        config: rates and decay.

    Raises:
        OptionError: there is nothing to train.
    """
    own = [m for m in (model.head, model.norm, model.query) if m is not None]
    parts: Sequence[tuple[float, list[nn.Parameter]]] = [
        (config.rate, [p for m in own for p in m.parameters()]),
        (config.rate * config.language_rate, [] if model.frozen else list(model.vlm.parameters())),
    ]
    groups = []
    for rate, parameters in parts:
        trained = [p for p in parameters if p.requires_grad]
        for decays in (True, False):
            some = [p for p in trained if (p.ndim >= 2) == decays]
            if some and rate > 0:
                groups.append(ParameterGroup(rate=rate, decay=config.decay if decays else 0.0, parameters=some))
    if not groups:
        raise OptionError("there is nothing to train: the language model is frozen and the head has no parameters")
    return groups
