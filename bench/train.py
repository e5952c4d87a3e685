"""Training steps a second beside the customary way: pictures decoded and targets made in NumPy by the loader's workers.

The same model, optimiser, batch, augmentation (one affine map per picture) and loss. The peer, as mmpose does it: in each epoch a
worker decodes the file, warps it by OpenCV, makes the MSRA targets keypoint by keypoint, and the loss is F.mse_loss times the
weights of the visible ones.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from bench.encode import mmpose
from bench.measure import publish, table, threads, write
from isotherm.data.keypoint_augment import Augmentation
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.train.keypoint_build import ModelChoice, make_model
from isotherm.train.keypoint_model import Objective
from isotherm.train.keypoints import KeypointTraining, train_keypoints
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule

SIZE, POINTS, SIGMA, WANTED = (128, 128), 17, 2.0, 1.5
CHOICE = ModelChoice(widths=(16, 32, 64), depth=1, head_options={"widths": (32, 16), "groups": 8})


def photos(count: int, folder: Path) -> KeypointSet:
    """Smooth noise as JPEG files of 480 x 360 with random points; what they show does not matter to the time."""
    random = np.random.default_rng(0)
    records = []
    for i in range(count):
        small = random.integers(0, 255, (45, 60, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{i}.jpg"), cv2.resize(small, (480, 360), interpolation=cv2.INTER_CUBIC))
        points = torch.from_numpy(random.uniform((40, 40), (440, 320), (POINTS, 2))).float()
        records.append(
            KeypointRecord(picture=folder / f"{i}.jpg", points=points, state=torch.ones(POINTS, dtype=torch.long))
        )
    return KeypointSet(records=records, names=tuple(map(str, range(POINTS))))


class Customary(Dataset):  # type: ignore[type-arg]
    """Everything about a picture in a worker, in NumPy, anew in every epoch."""

    def __init__(self, data: KeypointSet, grid: tuple[int, int], augmentation: Augmentation) -> None:
        self.data, self.grid, self.augmentation = data, grid, augmentation

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        record, (h, w) = self.data[i], SIZE
        picture = cv2.imread(str(record.picture))[..., ::-1]
        scale = min(w / picture.shape[1], h / picture.shape[0]) * float(
            torch.empty(()).uniform_(*self.augmentation.scale)
        )
        turn = cv2.getRotationMatrix2D(
            (picture.shape[1] / 2, picture.shape[0] / 2),
            float(torch.empty(()).uniform_(-1, 1)) * self.augmentation.degrees,
            scale,
        )
        turn[:, 2] += np.array([w, h]) / 2 - np.array([picture.shape[1], picture.shape[0]]) / 2
        warped = cv2.warpAffine(np.ascontiguousarray(picture), turn, (w, h), flags=cv2.INTER_LINEAR)
        points = record.points.numpy() @ turn[:, :2].T + turn[:, 2]
        target = mmpose(points * np.array([self.grid[1] / w, self.grid[0] / h]), self.grid, SIGMA, exact=False)
        weight = ((points >= 0) & (points < np.array([w, h]))).all(-1)
        return warped.transpose(2, 0, 1).astype(np.float32) / 255, target, weight.astype(np.float32)


def customary(data: KeypointSet, steps: int, batch: int, augmentation: Augmentation, workers: int) -> float:
    """Seconds of so many steps, from a loader that is warm."""
    model = make_model(CHOICE, POINTS, size=SIZE).train()
    grid = model(torch.zeros(1, 3, *SIZE)).shape[-2:]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    loader = DataLoader(
        Customary(data, (int(grid[0]), int(grid[1])), augmentation),
        batch,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        persistent_workers=workers > 0,
    )

    def stream() -> Any:
        while True:
            yield from loader

    batches = stream()
    began = 0.0
    for step in range(steps + 4):
        if step == 4:
            began = time.perf_counter()
        pictures, target, weight = next(batches)
        loss = F.mse_loss(model(pictures) * weight[..., None, None], target * weight[..., None, None])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return time.perf_counter() - began


def ours(data: KeypointSet, steps: int, batch: int, augmentation: Augmentation, folder: Path, loss: str) -> float:
    """Seconds of so many steps of the whole training loop, averages, figures and checkpoint included."""
    cached = cache_keypoints(data, folder / "cache", side=int(SIZE[0] * 1.25))
    config = KeypointTraining(
        steps=4,
        batch=batch,
        size=SIZE,
        backbone_rate=1.0,
        augmentation=augmentation,
        schedule=Schedule(warm_up=2),
        keep_every=10_000,
        objective=Objective(loss=loss, sigma=SIGMA),  # type: ignore[arg-type]
    )
    with tempfile.TemporaryDirectory() as run:
        train_keypoints(config, make_model(CHOICE, POINTS, size=SIZE), cached, data, RunFolder(Path(run) / "warm", {}))
        began = time.perf_counter()
        train_keypoints(
            replace(config, steps=steps),
            make_model(CHOICE, POINTS, size=SIZE),
            cached,
            data,
            RunFolder(Path(run) / "timed", {}),
        )
        return time.perf_counter() - began


def main(quick: bool = False) -> None:
    count, steps, batch = (32, 4, 8) if quick else (256, 30, 32)
    augmentation = Augmentation(degrees=30, scale=(0.8, 1.25))
    threads(2)
    cv2.setNumThreads(1)
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = photos(count, folder)
        found: dict[str, list[float]] = {}
        for _ in range(1 if quick else 3):
            for workers in (0, 2):
                found.setdefault(f"customary, {workers} workers", []).append(
                    customary(data, steps, batch, augmentation, workers)
                )
            for loss in ("mse", "cross_entropy"):
                found.setdefault(f"isotherm, {loss}", []).append(ours(data, steps, batch, augmentation, folder, loss))
    rates = {name: steps / sorted(values)[len(values) // 2] for name, values in found.items()}
    best = max(rate for name, rate in rates.items() if name.startswith("customary"))
    rows = [[name, rate, rate / best] for name, rate in rates.items()]
    text = table(
        f"Training, batch {batch}, {SIZE[0]} x {SIZE[1]}, {POINTS} points, small backbone, two threads",
        ["", "steps a second", "beside the better customary one"],
        rows,
    )
    print(text)
    print(
        f"isotherm at least {min(r[2] for r in rows if r[0].startswith('isotherm')):.2f} times as fast ({WANTED} wanted)"
    )
    write("train", {"rows": rows}, quick=quick)
    publish("train", [text], quick=quick)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
