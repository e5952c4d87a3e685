"""The comparison that the beetle specification asks for: Gaussian targets made by the loader against targets in the loss.

The first way is the specification's: for every picture the loader writes four maps of exponentials over the grid, they go into the batch,
and the loss compares them with the predicted maps for both orders of each line's ends. The second is isotherm's, which never makes the maps.
Speed is in processor seconds of one thread, both ways taking turns, so that a busy machine matters little. The metrics are those of the
same training both ways, from the same weights on the same pictures in the same order, for three seeds of all of these.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.measure import insert, processor_seconds, table, threads, write
from isotherm.data.beetles import HELD_OUT, TRAINING, beetles
from isotherm.data.keypoint_augment import Augmentation
from isotherm.data.keypoint_cache import CachedKeypoints, cache_keypoints
from isotherm.frame import Frame
from isotherm.losses import gaussian_mse
from isotherm.metrics.point_errors import place_known
from isotherm.points import Points
from isotherm.train.keypoint_build import ModelChoice, make_model
from isotherm.train.keypoint_model import Objective
from isotherm.train.keypoint_validate import judge
from isotherm.train.keypoints import KeypointTask, KeypointTraining, make_batch
from isotherm.train.loop import Part, run_loop
from isotherm.train.run_folder import RunFolder, read_figures
from isotherm.train.schedule import Schedule

PAGE = Path(__file__).parents[1] / "docs" / "keypoints.md"
WAYS = ("made by the loader", "in the loss")
LINES = ((0, 1), (2, 3))
SIGMA, SIDE = 2.0, 96
CONFIG = KeypointTraining(
    steps=300,
    batch=16,
    size=(SIDE, SIDE),
    rate=3e-3,
    backbone_rate=1.0,
    average=None,
    clip=None,
    keep_every=300,
    log_every=20,
    schedule=Schedule(shape="constant"),
    objective=Objective(loss="mse", sigma=SIGMA),
    augmentation=Augmentation(
        crop=(0.5, 1.0), ratio=(0.75, 1.333), flip=0.5, vertical_flip=0.5, degrees=180, turn=0.75
    ),
)
SEEDS = (0, 1, 2)
CHOICE = ModelChoice(widths=(16, 32), depth=1, head_options={"widths": (32,), "groups": 8})


def loader_targets(points: Points, frame: Frame, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """((b, n, h, w) maps with a peak of 1, (b, n) which of them are known), picture by picture as a loader has them."""
    assert points.state is not None
    known = place_known(points.state).numpy()
    cells = frame.points_from_source(torch.where(torch.from_numpy(known)[..., None], points.xy, 0.0)).numpy() - 0.5
    h, w = frame.size
    x, y = np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32)
    maps = np.zeros((*known.shape, h, w), np.float32)
    for i, picture in enumerate(cells):
        for k, (cx, cy) in enumerate(picture):
            if known[i, k]:
                maps[i, k] = np.exp(-((x[None] - cx) ** 2 + (y[:, None] - cy) ** 2) / (2 * sigma**2))
    return maps, known


def loss_of_targets(maps: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Mean squared error over active elements, the better order of each line's ends."""
    total = maps.new_zeros(())
    for line in LINES:
        a, b = list(line), list(line[::-1])
        direct, swapped = (
            torch.where(known[:, order, None, None], (maps[:, a] - targets[:, order]).square(), 0.0).sum((1, 2, 3))
            for order in (a, b)
        )
        total = total + torch.minimum(direct, swapped).sum()
    return total / (known.sum() * maps.shape[-2] * maps.shape[-1]).clamp(min=1)


class LoaderTask(KeypointTask):
    """The same training with the loader's targets."""

    def part(self, forward: nn.Module, index: Tensor, epoch: Tensor, *, done: float, device: torch.device) -> Part:
        batch = make_batch(self.data, index, epoch, self.config, swaps=self.kind.swaps, device=device)
        targets, known = loader_targets(batch.points, self.output_frame(batch.frame), SIGMA)
        maps = forward(batch.pictures)
        return Part(loss_of_targets(maps, torch.from_numpy(targets), torch.from_numpy(known)), maps)


def alone(batch: int, repeats: int) -> dict[str, float]:
    """Processor milliseconds per step of targets, loss and its gradient alone, 4 maps of 64 x 64 for each picture."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(batch, 4, 64, 64, generator=generator).requires_grad_(True)
    frame = Frame.stack([Frame.identity((256, 256)).to_grid(stride=4)] * batch)
    points = Points(torch.rand(batch, 4, 2, generator=generator) * 256, state=torch.ones(batch, 4, dtype=torch.long))

    def loader() -> None:
        targets, known = loader_targets(points, frame, SIGMA)
        loss_of_targets(maps, torch.from_numpy(targets), torch.from_numpy(known)).backward()

    def inside() -> None:
        gaussian_mse(maps, points, frame, sigma_cells=SIGMA, groups=LINES).backward()

    return {
        name: 1e3 * value
        for name, value in processor_seconds(dict(zip(WAYS, (loader, inside), strict=True)), repeats).items()
    }


def trained(
    way: str, data: CachedKeypoints, other: CachedKeypoints, kind: Any, steps: int, seed: int, dpath: Path
) -> dict[str, float]:
    """What a training has cost and come to."""
    config = replace(CONFIG, steps=steps, keep_every=steps, seed=seed)
    model = make_model(replace(CHOICE, seed=seed), 4, size=config.size)
    task = (KeypointTask if way == WAYS[1] else LoaderTask)(config, model, data, kind)
    began = time.process_time()
    run_loop(config, task, RunFolder(dpath, {}))
    seconds = time.process_time() - began
    report = judge(model, config.objective, other, kind, size=config.size, draws=1).report.rows[0].figures
    return {
        "steps_per_s": steps / seconds,
        "loss": read_figures(dpath / "metrics.csv")[-1]["loss"],
        **{name: report[name].mean for name in ("point_err_cm", "length_line_err_cm", "width_line_err_cm")},
    }


def difference(data: CachedKeypoints, kind: Any, seed: int) -> float:
    """How far the gradients of the first step lie apart, as a share of the largest: the same batch and weights both ways."""
    model = make_model(replace(CHOICE, seed=seed), 4, size=CONFIG.size)
    index, gradients = torch.arange(min(64, len(data))), []
    for kind_of_task in (KeypointTask, LoaderTask):
        task = kind_of_task(CONFIG, model, data, kind)
        model.zero_grad()
        task.part(model, index, torch.zeros_like(index), done=0.0, device=torch.device("cpu")).loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    return float((gradients[0] - gradients[1]).abs().max() / gradients[0].abs().max())


def main(*, quick: bool = False) -> None:
    threads(1)
    steps, count, batch, repeats = (6, 24, 8, 2) if quick else (CONFIG.steps, 400, 64, 15)
    speed = alone(batch, repeats)
    with tempfile.TemporaryDirectory() as folder:
        kind, unseen = beetles(TRAINING[:count]), beetles(HELD_OUT[: count // 4])
        data, other = (cache_keypoints(part, Path(folder) / "cache", side=SIDE) for part in (kind, unseen))
        apart = max(difference(data, kind, seed) for seed in SEEDS)
        for i, way in enumerate(WAYS):  # what is loaded and compiled at the first use counts for neither
            trained(way, data, other, kind, 4, 0, Path(folder) / f"warm{i}")
        rows: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for seed in SEEDS:
            for i, way in enumerate(WAYS):
                rows[way].append(trained(way, data, other, kind, steps, seed, Path(folder) / f"run{i}-{seed}"))
    write(
        "beetle_targets",
        {
            "rows": rows,
            "targets_and_loss_ms": speed,
            "seeds": SEEDS,
            "steps": steps,
            "pictures": count,
            "batch": batch,
            "gradients_apart": apart,
        },
        quick=quick,
    )
    columns = {
        "steps_per_s": "steps a second, whole training",
        "loss": "last loss",
        "point_err_cm": "points, cm",
        "length_line_err_cm": "length, cm",
        "width_line_err_cm": "width, cm",
    }
    text = table(
        f"Targets of Gaussians: {steps} steps on {count} generated beetles, {count // 4} held out, mean ± standard deviation of {len(SEEDS)} seeds; processor time of one thread",
        ["targets", f"targets, loss and gradient, {batch} pictures, ms", *columns.values()],
        [[way, speed[way], *(spread([row[name] for row in rows[way]]) for name in columns)] for way in WAYS],
    )
    between = [
        abs(a[name] - b[name]) / statistics.fmean((a[name], b[name]))
        for a, b in zip(*(rows[way] for way in WAYS), strict=True)
        for name in ("point_err_cm", "length_line_err_cm", "width_line_err_cm")
    ]
    text += (
        f"\nThe gradients of the first step differ by {apart:.1e} of their largest value at most. With the same seed, the two ways end "
        f"{statistics.fmean(between):.0%} apart in centimetres on average.\n"
    )
    print(text)
    if not quick:
        insert(PAGE, "beetle_targets", text)


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation."""
    return f"{statistics.fmean(values):.3g} ± {statistics.stdev(values):.1g}"


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
