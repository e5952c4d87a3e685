"""Training of the heatmap detector that ships: its recipe, its loss, the task that the loop runs, and its figures of
merit.

Centres of objects per class, their sizes and offsets, from generated scenes, in the same loop as all other heatmaps.
Everything random is a function of the seed and of the step, so a run that was killed and started again ends in the same
weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm import losses, targets
from isotherm.data.scenes import TRAINING
from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.points import State
from isotherm.progress import Say, silent
from isotherm.targets.boxes import BoxTarget
from isotherm.train.backbone_training import BackboneTraining
from isotherm.train.collapse import CollapseWatch
from isotherm.train.detection_precision import OVERLAPS, Boxes, detection_average_precision, shares
from isotherm.train.loop import Part, Task, Validate, run_loop
from isotherm.train.parameters import ParameterGroup
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule
from isotherm.zoo.detector.boxed_scenes import BoxedScenes, SceneAugmentation, scene_batch
from isotherm.zoo.detector.network import CONFIDENCE, DetectorMaps, HeatmapDetector, find_centres


@dataclass(frozen=True, kw_only=True)
class DetectorTraining(BackboneTraining):
    """A recipe; the rest of it is in :class:`isotherm.train.backbone_training.BackboneTraining`.

    Args:
        scenes: how many different ones are learnt from.
        sizes: (h, w) of scenes in turn; all are letterboxed as the view letterboxes, so that padding is nothing new.
        augmentation: how they are changed whenever they are seen.
        sigma: of the peaks of centres in cells, or 'adaptive' (:func:`isotherm.targets.boxes`): half a cell for objects
            of this size, with which this much training ends at lower figures.
        size_weight, offset_weight: of the errors of size and offset beside the focal loss.
    """

    steps: int = 4500
    rate: float = 2e-3
    decay: float = 0.05
    backbone_rate: float = 1.0
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=200))
    average: float | None = 0.998
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    log_every: int = 100
    keep_every: int = 1000
    scenes: int = 12_000
    sizes: tuple[Size, ...] = ((128, 128), (96, 128), (128, 96), (128, 128))
    augmentation: SceneAugmentation = field(default_factory=SceneAugmentation)
    sigma: Literal["adaptive"] | float = 1.0
    size_weight: float = 0.1
    offset_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.seed < 1 << 20 or not 1 <= self.scenes <= 1 << 20:
            raise OptionError(
                f"seed {self.seed} with {self.scenes} scenes; expected a seed below 2**20 and 1 to 2**20 scenes"
            )
        if min(self.size_weight, self.offset_weight) < 0:
            raise OptionError(
                f"size_weight is {self.size_weight}, offset_weight {self.offset_weight}; expected at least 0"
            )

    @property
    def seeds(self) -> range:
        """Seeds of the scenes: another stretch of :data:`isotherm.data.scenes.TRAINING` for every training seed."""
        return TRAINING[self.seed << 20 :][: self.scenes]


def detector_loss(
    maps: DetectorMaps, target: BoxTarget, *, typical: float, size_weight: float = 0.1, offset_weight: float = 1.0
) -> Float[Tensor, ""]:
    """Focal loss on centres, and L1 errors of size and offset at the cells that hold one, over their number.

    Sizes are compared as logarithms, whose error is a share of the side; times ``typical`` it is in cells for a typical
    object, so that the weights mean what they mean in the paper.

    Args:
        maps: what the network says.
        target: of the same frame, with ``centre="cell"``.
        typical: as of the network, in cells.

    Source: Zhou et al., "Objects as points" (2019), eq. 1 to 4: the weights are 0.1 for sizes and 1 for offsets.
    """
    there = target.supervised[:, None]
    count = there.sum().clamp(min=1)
    wanted = torch.where(there, target.size, 1.0).clamp(min=1e-3).log() - math.log(typical)
    size = torch.where(there, (maps.log_size.float() - wanted).abs(), 0.0).sum() * typical / count
    offset = torch.where(there, (maps.offset.float() - target.offset).abs(), 0.0).sum() / count
    return losses.focal(maps.logits.float(), target.centres) + size_weight * size + offset_weight * offset


class DetectorTask(Task):
    """Maps of centres, sizes and offsets, of scenes.

    What the watch for collapsed runs sees is the largest class of every cell: most classes are in few pictures, so most
    maps of one class are rightly empty.
    """

    def __init__(self, config: DetectorTraining, model: HeatmapDetector, data: BoxedScenes) -> None:
        self.config, self.model, self.data, self.count = config, model, data, len(data)
        self.detector, self.net, self.output_frame = model, model.config, model.output_frame

    def groups(self) -> list[ParameterGroup]:
        return self.config.groups(self.detector.backbone, self.detector.head)

    def watch(self) -> CollapseWatch:
        return CollapseWatch("peak", self.output_frame(Frame.identity(self.net.size)).size)

    def labelled(self, index: Int[Tensor, " b"]) -> tuple[int, int]:
        state = self.data.state[index]
        return int((state == int(State.LABELLED)).sum()), state.numel()

    def part(
        self,
        forward: nn.Module,
        index: Int[Tensor, " b"],
        epoch: Int[Tensor, " b"],
        *,
        done: float,
        device: torch.device,
    ) -> Part:
        config, data = self.config, self.data
        pictures, frame = scene_batch(data, index, epoch, config.augmentation, seed=config.seed, device=device)
        maps: DetectorMaps = forward(pictures)
        with torch.autocast(device.type, enabled=False):
            target = targets.boxes(
                data.boxes[index].to(device),
                self.output_frame(frame),
                classes=data.classes[index].to(device),
                count=len(self.net.names),
                sigma=config.sigma,
                centre="cell",
                state=data.state[index].to(device),
            )
            loss = detector_loss(
                maps,
                target,
                typical=self.net.typical,
                size_weight=config.size_weight,
                offset_weight=config.offset_weight,
            )
        return Part(loss, maps.logits.float().amax(1, keepdim=True).sigmoid())


def train_detector(
    config: DetectorTraining,
    model: HeatmapDetector,
    data: BoxedScenes,
    folder: RunFolder,
    *,
    validate: Validate | None = None,
    say: Say = silent,
) -> HeatmapDetector:
    """Train a detector, or go on with a run that was interrupted.

    Args:
        model: its weights are changed in place. The others, and what is raised: as of
            :func:`isotherm.train.loop.run_loop`.
    """
    run_loop(config, DetectorTask(config, model, data), folder, validate=validate, say=say)
    return model


@torch.no_grad()
def predicted_boxes(model: HeatmapDetector, data: BoxedScenes, *, most: int = 20, batch: int = 50) -> list[Boxes]:
    """What a detector finds in scenes, however unsure, in source pixels and float32; ``most`` findings in each."""
    predicted, device = [], next(model.parameters()).device
    for rows in torch.arange(len(data)).split(batch):
        maps = DetectorMaps(*(part.cpu() for part in model(data.pictures[rows].to(device).float() / 255)))
        centres = find_centres(maps.logits, most=most)
        for i, row in enumerate(rows.tolist()):
            boxes = model.boxes_at(maps, torch.full_like(centres.cell[i], i), centres.cell[i])
            predicted.append(
                Boxes(data.frame[row].boxes_to_source(boxes).float(), centres.classes[i], centres.score[i])
            )
    return predicted


def true_boxes(data: BoxedScenes) -> list[Boxes]:
    """The objects of scenes, in source pixels."""
    there = data.state == int(State.LABELLED)
    return [
        Boxes(boxes[rows], classes[rows]) for boxes, classes, rows in zip(data.boxes, data.classes, there, strict=True)
    ]


def evaluate(model: HeatmapDetector, data: BoxedScenes, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """Figures of merit: average precision over all findings, and shares of the findings that are at least as sure as
    ``confidence``.
    """
    predicted, true = predicted_boxes(model, data), true_boxes(data)
    precision = detection_average_precision(predicted, true, classes=len(model.config.names))
    sure = [
        Boxes(f.boxes[f.scores >= confidence], f.classes[f.scores >= confidence], f.scores[f.scores >= confidence])
        for f in predicted
        if f.scores is not None
    ]
    return {
        "scenes": len(data),
        "AP50": _rounded(precision[:, OVERLAPS.index(0.5)].nanmean()),
        "AP75": _rounded(precision[:, OVERLAPS.index(0.75)].nanmean()),
        "AP50:95": _rounded(precision.nanmean()),
        "confidence": confidence,
        **{name: _rounded(value) for name, value in shares(sure, true).items()},
        "AP50 of classes": {
            name: _rounded(p) for name, p in zip(model.config.names, precision[:, OVERLAPS.index(0.5)], strict=True)
        },
    }


def _rounded(value: float | Tensor) -> float:
    return round(float(value), 5)
