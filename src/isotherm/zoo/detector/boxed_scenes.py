"""Generated scenes with their boxes, drawn once and kept in memory, and batches of them, mirrored, turned and
recoloured anew.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from isotherm.data.keypoint_augment import Augmentation, draw, recolour, warp
from isotherm.data.scenes import SceneConfig, make_scene
from isotherm.frame import Frame, Size, compose_affine
from isotherm.models.shared.preprocess import Preprocess
from isotherm.points import State
from isotherm.progress import Progress, Say, silent

ORDERS = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
"""All orders of three channels."""


@dataclass(frozen=True, eq=False)
class BoxedScenes:
    """Pictures of a model's input size and the objects in them; boxes are in the scenes' own pixels, and the frame
    knows the way.

    Args:
        pictures: (n, 3, h, w).
        frame: batch (n,), of the pictures.
        boxes: (n, m, 4) x0, y0, x1, y1 in source pixels, 0 where there are fewer than m.
        classes: (n, m), 0 there.
        state: (n, m) LABELLED, or ABSENT there.
    """

    pictures: UInt8[Tensor, "n 3 h w"]
    frame: Frame
    boxes: Float[Tensor, "n m 4"]
    classes: Int[Tensor, "n m"]
    state: Int[Tensor, "n m"]

    def __len__(self) -> int:
        return len(self.pictures)


def draw_boxed_scenes(
    seeds: Sequence[int], configs: Sequence[SceneConfig], preprocess: Preprocess, *, say: Say = silent
) -> BoxedScenes:
    """Scenes of the ``configs`` in turn, prepared as the detector's view prepares pictures, kept as bytes.

    Args:
        preprocess: what fits a picture into the input; its pixels are normalised, which is undone here without a loss.
    """
    mean, std = (torch.tensor(x)[:, None, None] for x in (preprocess.mean, preprocess.std))
    most = max(config.objects[1] for config in configs)
    pictures = torch.empty(len(seeds), 3, *preprocess.size, dtype=torch.uint8)
    boxes, classes = torch.zeros(len(seeds), most, 4), torch.zeros(len(seeds), most, dtype=torch.long)
    state = torch.full((len(seeds), most), int(State.ABSENT))
    frames, began, threads = [], time.perf_counter(), torch.get_num_threads()
    torch.set_num_threads(
        1
    )  # the parts are too small to share, and threads that wait for one another are many times slower
    try:
        for i, seed in enumerate(seeds):
            scene = make_scene(seed, configs[i % len(configs)])
            tensor, frame = preprocess.one(scene.picture)
            frames.append(frame)
            pictures[i] = ((tensor * std + mean) * 255).round().to(torch.uint8)
            n = len(scene)
            boxes[i, :n], classes[i, :n], state[i, :n] = (
                torch.from_numpy(scene.boxes),
                torch.from_numpy(scene.labels),
                int(State.LABELLED),
            )
            if (i + 1) % 1000 == 0 or i + 1 == len(seeds):
                pace = f"{(i + 1) / (time.perf_counter() - began):.0f} a second"
                say(Progress(step=i + 1, total=len(seeds), text=pace, stage="drawing scenes"))
    finally:
        torch.set_num_threads(threads)
    return BoxedScenes(pictures, Frame.stack(frames), boxes, classes, state)


@dataclass(frozen=True, kw_only=True)
class SceneAugmentation:
    """How scenes are changed whenever they are seen.

    Args:
        turns: by a multiple of 90 degrees (of 180, where pictures are not square), so that upright boxes stay exact.
        channels: the colour channels in any order.
        others: see :class:`isotherm.data.keypoint_augment.Augmentation`; turns by other angles would leave boxes that
            are too large.
    """

    turns: bool = True
    channels: bool = True
    others: Augmentation = field(default_factory=lambda: Augmentation(flip=0.5))


def scene_batch(
    data: BoxedScenes,
    index: Int[Tensor, " b"],
    epoch: Int[Tensor, " b"],
    augmentation: SceneAugmentation,
    *,
    seed: int,
    device: torch.device,
) -> tuple[Float[Tensor, "b 3 h w"], Frame]:
    """Pictures by number, from 0 to 1, changed as the seed, each one's epoch and number say, and the frames that lead
    back to the scenes, whose boxes stay as they are."""
    (h, w), others = data.frame.size, augmentation.others
    drawn = draw(others, index, seed=seed, epoch=epoch, cached=(h, w), size=(h, w))
    number = drawn.noise_seed
    if augmentation.turns:
        quarter = number % 4 if h == w else number % 2 * 2
        drawn = replace(drawn, to_cells=compose_affine(drawn.to_cells, quarter_turns((h, w))[quarter]))
    values, frame = warp(data.pictures[index].to(device), data.frame[index], drawn, (h, w))
    if augmentation.channels:
        order = ORDERS[number // 4 % 6].to(device)
        values = values.gather(1, order[:, :, None, None].expand_as(values))
    return recolour(values, drawn, others), frame


def quarter_turns(size: Size) -> Float[Tensor, "4 2 3"]:
    """From the cells of a picture turned by 0, 90, 180 and 270 degrees to those of the picture; the odd ones for
    squares alone.

    Example:
        >>> (quarter_turns((8, 8)) @ torch.tensor([1.0, 2.0, 1.0]).double()).tolist()
        [[1.0, 2.0], [6.0, 1.0], [7.0, 6.0], [2.0, 7.0]]
    """
    h, w = float(size[0]), float(size[1])
    return torch.tensor(
        [[[1, 0, 0], [0, 1, 0]], [[0, -1, h], [1, 0, 0]], [[-1, 0, w], [0, -1, h]], [[0, 1, 0], [-1, 0, w]]],
        dtype=torch.float64,
    )
