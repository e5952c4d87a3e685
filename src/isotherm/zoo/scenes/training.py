"""Training of the classifier that ships: its recipe, its scenes, and the task that the loop runs.

Everything random is a function of the seed, the step and each picture's number, so a run that was interrupted and
started again ends in the same weights.

The weights in ``isotherm/assets`` are from before the classifier was trained in the loop of all tasks. The scenes, the
network, the optimiser and the length were these; the order of pictures and the draws of their augmentation were others
(each batch was turned as a whole, from one generator per epoch), so this recipe gives a classifier like them and not
their bits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from isotherm.data.keypoint_augment import Augmentation, draw
from isotherm.data.scenes import TRAINING, SceneConfig, make_scene
from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.progress import Progress, Say, silent
from isotherm.train.average_precision import average_precision
from isotherm.train.loop import LoopConfig, Part, Task, rows_of
from isotherm.train.parameters import ParameterGroup
from isotherm.train.schedule import Schedule
from isotherm.zoo.detector.boxed_scenes import ORDERS
from isotherm.zoo.scenes.network import SceneNet, SceneNetConfig, scene_preprocess


@dataclass(frozen=True, kw_only=True)
class SceneTraining(LoopConfig):
    """A recipe; the rest of it is in :class:`isotherm.train.loop.LoopConfig`.

    Args:
        close_ups: how many scenes of one large object and little clutter come first, a quarter of the input's area
            in size, and close_up_steps for how long: shapes are learnt four times as fast where they fill the picture.
        scenes: how many different ones follow, for the rest of the steps. Whenever one is seen, it is turned, mirrored
            and recoloured anew.
        sizes: (h, w) of scenes in turn; all are letterboxed as the view letterboxes, so that padding is nothing new.
        precision: of the convolutions in training; results are always measured in float32.
    """

    steps: int = 2560
    batch: int = 64
    rate: float = 4e-3
    decay: float = 0.05
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=256))
    average: float | None = None
    clip: float | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    log_every: int = 100
    keep_every: int = 500
    close_ups: int = 8_000
    close_up_steps: int = 1000
    scenes: int = 10_000
    sizes: tuple[Size, ...] = ((128, 128), (96, 128), (128, 96), (128, 128))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("close_ups", 1), ("close_up_steps", 0), ("scenes", 1), ("batch", 2)):
            if getattr(self, name) < least:
                raise OptionError(f"{name} is {getattr(self, name)}; expected at least {least}")
        if not 0 <= self.seed < 1 << 20 or self.scenes + self.close_ups > 1 << 20:
            raise OptionError(
                f"seed {self.seed} with {self.scenes} scenes and {self.close_ups} close-ups; expected a seed below 2**20 and at most 2**20 of them together"
            )

    @property
    def seeds(self) -> range:
        """Seeds of the close-ups and then of the scenes: another stretch of :data:`TRAINING` for every training
        seed.
        """
        return TRAINING[self.seed << 20 :][: self.close_ups + self.scenes]


@dataclass(frozen=True, eq=False)
class LabelledScenes:
    """Model-sized pictures (n, 3, h, w) uint8 and which classes they hold (n, k)."""

    pictures: UInt8[Tensor, "n 3 h w"]
    present: Bool[Tensor, "n k"]

    def __len__(self) -> int:
        return len(self.pictures)


def draw_scenes(
    seeds: Sequence[int], configs: Sequence[SceneConfig], size: Size, *, say: Say = silent
) -> LabelledScenes:
    """Scenes of the ``configs`` in turn, letterboxed to ``size`` as the view does it, kept in memory as bytes."""
    preprocess = scene_preprocess(size)
    pictures = torch.empty(len(seeds), 3, *size, dtype=torch.uint8)
    present = torch.zeros(len(seeds), len(configs[0].classes), dtype=torch.bool)
    began = time.perf_counter()
    for i, seed in enumerate(seeds):
        scene = make_scene(seed, configs[i % len(configs)])
        tensor, _ = preprocess.one(scene.picture)
        pictures[i] = ((tensor * preprocess.std[0] + preprocess.mean[0]) * 255).round().to(torch.uint8)
        present[i, scene.labels] = True
        if (i + 1) % 1000 == 0 or i + 1 == len(seeds):
            pace = f"{size[0]} x {size[1]} pixels, {(i + 1) / (time.perf_counter() - began):.0f} a second"
            say(Progress(step=i + 1, total=len(seeds), text=pace, stage="drawing scenes"))
    return LabelledScenes(pictures, present)


def draw_lessons(
    config: SceneTraining, net: SceneNetConfig, *, say: Say = silent
) -> tuple[LabelledScenes, LabelledScenes]:
    """What is learnt from: close-ups, and then scenes."""
    half = (net.size[0] // 2, net.size[1] // 2)
    close_up = SceneConfig(size=half, classes=net.names, objects=(1, 1), radius=(0.26, 0.44), clutter=(0, 3))
    whole = [SceneConfig(size=size, classes=net.names) for size in config.sizes]
    return (
        draw_scenes(config.seeds[: config.close_ups], [close_up], half, say=say),
        draw_scenes(config.seeds[config.close_ups :], whole, net.size, say=say),
    )


def augmented(
    pictures: UInt8[Tensor, "b 3 h w"], index: Int[Tensor, " b"], epoch: Int[Tensor, " b"], *, seed: int
) -> UInt8[Tensor, "b 3 h w"]:
    """Each picture mirrored or not, its colour channels in another order, and turned by a multiple of 90 degrees (of
    180, where it is not square), as the seed, its epoch and its number say, whatever else is in the batch."""
    size = pictures.shape[2], pictures.shape[3]
    drawn = draw(Augmentation(flip=0.5), index, seed=seed, epoch=epoch, cached=size, size=size)
    turn = drawn.noise_seed % 4 if size[0] == size[1] else drawn.noise_seed % 2 * 2
    turned = pictures.clone()
    for quarters in (1, 2, 3):
        rows = turn == quarters
        if bool(rows.any()):
            turned[rows] = torch.rot90(pictures[rows], quarters, (2, 3))
    mirrored = torch.where(drawn.flipped[:, None, None, None], turned.flip(3), turned)
    order = ORDERS[drawn.noise_seed // 4 % 6]
    return mirrored.gather(1, order[:, :, None, None].expand_as(mirrored))


def to_input(pictures: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Bytes -> what :func:`isotherm.zoo.scenes.view.scene_preprocess` makes of them."""
    return ((pictures.float() / 255 - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)


class SceneTask(Task):
    """Which classes are in a picture, each by a binary cross-entropy.

    Pictures are numbered through: the close-ups first, then the scenes. A batch is of one kind, because they differ in
    size.

    Args:
        lessons: close-ups and scenes, as of :func:`draw_lessons`.
    """

    def __init__(self, config: SceneTraining, model: SceneNet, lessons: tuple[LabelledScenes, LabelledScenes]) -> None:
        self.config, self.model, self.lessons = config, model.to(memory_format=torch.channels_last), lessons
        self.count = sum(len(lesson) for lesson in lessons)

    def groups(self) -> list[ParameterGroup]:
        """All weights alike, norms and biases too."""
        return [ParameterGroup(rate=self.config.rate, decay=self.config.decay, parameters=[*self.model.parameters()])]

    def rows(self, step: int, config: LoopConfig) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"]]:
        first = self.config.close_up_steps
        if step < first:
            return rows_of(step, config.batch, len(self.lessons[0]), config.seed)
        index, epoch = rows_of(step - first, config.batch, len(self.lessons[1]), config.seed)
        return index + len(self.lessons[0]), epoch

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
        close_up = int(index[0]) < len(self.lessons[0])
        lesson, rows = (self.lessons[0], index) if close_up else (self.lessons[1], index - len(self.lessons[0]))
        pictures = augmented(lesson.pictures[rows], index, epoch, seed=self.config.seed)
        logits = forward(to_input(pictures.to(device)))
        with torch.autocast(device.type, enabled=False):
            loss = F.binary_cross_entropy_with_logits(logits.float(), lesson.present[rows].float().to(device))
        return Part(loss, None)


def evaluate(model: SceneNet, data: LabelledScenes, batch: int = 100) -> dict[str, Any]:
    """Figures of merit in float32: mean average precision, exact sets, likeliest class."""
    device = model.head.weight.device
    with torch.no_grad():
        logits = torch.cat([model(to_input(part.to(device))).cpu() for part in data.pictures.split(batch)])
    precision = average_precision(logits, data.present)
    likeliest = data.present[torch.arange(len(logits)), logits.argmax(1)]
    return {
        "scenes": len(logits),
        "mean_average_precision": round(float(precision.nanmean()), 5),
        "average_precision": {name: round(float(p), 5) for name, p in zip(model.config.names, precision, strict=True)},
        "all_objects_and_no_other": round(float(((logits > 0) == data.present).all(1).double().mean()), 5),
        "likeliest_class_is_there": round(float(likeliest.double().mean()), 5),
    }
