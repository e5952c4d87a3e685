"""Which way of finding keypoints is best? Generated beetles, whose truth is known, three seeds, the same backbone and number of steps.

Every row is trained on the same 2,000 pictures and judged on 400 held-out ones by the true places of all four points, also where
no label was given. Rows that differ in the decoder alone share the trained model. The border is what lies within two cells inside of the
picture's edge; what lies beyond the edge cannot be seen.

- permutation: the two ends of a line are labelled in random order. Without groups the loss is taken as if the order meant something.
- convention: the labels are shifted against the pixels as in the published beetle pipeline, whose resize maps corners for labels and
  half pixels for pixels: 0.34 px at 256 for pictures of 800 px, and the same affine backwards.
- coordinates: the mean of the backbone's features through two layers to eight numbers, L1 loss, the same permutation groups.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.measure import insert, table, threads, write
from isotherm import decode
from isotherm.data.beetles import HELD_OUT, TRAINING, beetles, make_beetle
from isotherm.data.keypoint_augment import Augmentation
from isotherm.data.keypoint_cache import CachedKeypoints, cache_keypoints
from isotherm.data.keypoints import KeypointSet
from isotherm.heatmap import Heatmap
from isotherm.metrics.point_errors import line_lengths, match_exchangeable, point_errors, reordered
from isotherm.points import Points
from isotherm.train.keypoint_build import ModelChoice, make_backbone, make_model
from isotherm.train.keypoint_model import Objective
from isotherm.train.keypoints import KeypointTraining, make_batch, train_keypoints
from isotherm.train.loop import Part, Task, run_loop
from isotherm.train.parameters import ParameterGroup
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule

SEEDS = (0, 1, 2)
PICTURES, JUDGED, STEPS = 2000, 400, 900
SIZE, CELLS = (128, 128), 32
SHIFT = 0.5 * (1 - 256 / 800)
"""Pixels of the model's input between a label and its place in the pixels, on each axis."""
WORK = Path(__file__).parent / ".work" / "keypoints"
PAGE = Path(__file__).parents[1] / "docs" / "keypoints.md"
CHOICE = ModelChoice(widths=(24, 48, 96), depth=1, head_options={"widths": (64, 32), "groups": 8})
BASE = KeypointTraining(
    steps=STEPS,
    batch=32,
    size=SIZE,
    rate=3e-3,
    decay=0.1,
    backbone_rate=1.0,
    average=0.995,
    keep_every=300,
    log_every=100,
    schedule=Schedule(warm_up=50),
    objective=Objective(sigma=1.5, first_sigma=4.0),
    augmentation=Augmentation(
        flip=0.5, degrees=180, scale=(0.9, 1.12), shift=0.04, brightness=0.2, contrast=0.2, saturation=0.2
    ),
)
MSE = Objective(loss="mse", sigma=1.5, first_sigma=4.0)


@dataclass(frozen=True)
class Trained:
    """A training: what differs from the rest."""

    objective: Objective = BASE.objective
    shift: float = 0.0
    coordinates: bool = False


TRAININGS = {
    "cross-entropy": Trained(),
    "MSE": Trained(MSE),
    "cross-entropy, no groups": Trained(replace(BASE.objective, exchange=False)),
    "cross-entropy, mixed conventions": Trained(shift=SHIFT),
    "coordinates": Trained(coordinates=True),
}
ROWS = {
    "cross-entropy + moment inverse": ("cross-entropy", "moment_inverse"),
    "cross-entropy + soft-argmax": ("cross-entropy", "soft_argmax"),
    "cross-entropy + local soft-argmax (about the largest cell)": ("cross-entropy", "local_soft_argmax"),
    "MSE + least squares": ("MSE", "least_squares"),
    "MSE + argmax": ("MSE", "argmax"),
    "cross-entropy + moment inverse, no permutation groups": ("cross-entropy, no groups", "moment_inverse"),
    "cross-entropy + moment inverse, mixed pixel conventions": ("cross-entropy, mixed conventions", "moment_inverse"),
    "features → MLP → coordinates": ("coordinates", "coordinates"),
}


class Coordinates(nn.Module):
    """The baseline: one vector of the picture to (n, 2) places as shares of the input."""

    def __init__(self, choice: ModelChoice, points: int) -> None:
        super().__init__()
        self.backbone = make_backbone(choice, size=SIZE)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(choice.seed + 1)
            self.head = nn.Sequential(nn.Linear(self.backbone.channels, 256), nn.ReLU(), nn.Linear(256, 2 * points))

    def forward(self, pictures: Tensor) -> Tensor:
        places: Tensor = self.head(self.backbone.summary(pictures)).view(len(pictures), -1, 2)
        return places


class CoordinateTask(Task):
    """L1 distance of places, the better of both orders of each line's ends."""

    def __init__(self, config: KeypointTraining, model: Coordinates, data: CachedKeypoints, kind: KeypointSet) -> None:
        self.config, self.model, self.data, self.kind, self.count = config, model, data, kind, len(data)
        self.net = model

    def groups(self) -> list[ParameterGroup]:
        return self.config.groups(self.net.backbone, self.net.head)

    def labelled(self, index: Tensor) -> tuple[int, int]:
        counts = self.config.objective.counts(self.data.state[index])
        return int(counts.sum()), counts.numel()

    def part(self, forward: nn.Module, index: Tensor, epoch: Tensor, *, done: float, device: torch.device) -> Part:
        batch = make_batch(self.data, index, epoch, self.config, swaps=self.kind.swaps, device=device)
        places = forward(batch.pictures)
        truth = batch.points.to_cells(batch.frame).xy / torch.tensor([SIZE[1], SIZE[0]])
        known = self.config.objective.counts(self.data.state[index])
        order = match_exchangeable(places.detach(), truth, known, self.kind.exchangeable)
        apart = torch.where(known[..., None], reordered(places, order) - truth, 0.0).abs().sum(-1)
        return Part(apart.sum() / known.sum().clamp(min=1), None)


def train(name: str, seed: int, data: CachedKeypoints, kind: KeypointSet, steps: int, dpath: Path) -> nn.Module:
    """A model of a training and a seed; one that is there is opened."""
    what = TRAININGS[name]
    config = replace(BASE, seed=seed, steps=steps, objective=what.objective)
    choice = replace(CHOICE, seed=seed)
    folder = RunFolder(dpath / f"{name}, seed {seed}", {"steps": steps})
    shifted = replace_points(data, data.points + what.shift)
    if what.coordinates:
        model: nn.Module = Coordinates(choice, len(kind.names))
        return run_loop(config, CoordinateTask(config, model, shifted, kind), folder)
    return train_keypoints(config, make_model(choice, len(kind.names), size=SIZE), shifted, kind, folder)


def replace_points(data: CachedKeypoints, points: Tensor) -> CachedKeypoints:
    return CachedKeypoints(
        data.pictures, data.frame, points, data.state, data.px_per_cm, data.area, data.group, data.records, data.skipped
    )


@torch.no_grad()
def predict(model: nn.Module, decoder: str, name: str, data: CachedKeypoints) -> Tensor:
    """(m, n, 2) source pixels."""
    found = []
    for i in range(0, len(data), 50):
        pictures, frame = torch.from_numpy(np.array(data.pictures[i : i + 50])).float() / 255, data.frame[i : i + 50]
        out = model(pictures)
        if decoder == "coordinates":
            found.append(Points.from_cells(frame, out * torch.tensor([SIZE[1], SIZE[0]])).xy)
            continue
        cells = model.output_frame(frame)
        if decoder == "argmax":
            found.append(decode.argmax(out, cells).xy)
        elif decoder.endswith("soft_argmax"):
            found.append(getattr(decode, decoder)(Heatmap(out, cells, "logits")).xy)
        else:
            found.append(getattr(decode, decoder)(out, cells, sigma_cells=TRAININGS[name].objective.sigma).xy)
    return torch.cat(found) - TRAININGS[name].shift  # the same affine backwards


def judge(xy: Tensor, truth: Tensor, px_per_cm: Tensor, kind: KeypointSet) -> dict[str, float]:
    """Figures against the truth of all points, in source pixels (which are the input's) and in cm."""
    state = torch.ones(truth.shape[:2], dtype=torch.long)
    errors = point_errors(xy, truth, state, exchangeable=kind.exchangeable)
    cells = truth * (CELLS / SIZE[0])
    distance = torch.minimum(cells, CELLS - cells).amin(-1)  # to the nearest edge, below 0 outside
    border, beyond, inside = (distance >= 0) & (distance < 2), distance < 0, distance >= 2
    lengths = (line_lengths(xy, kind.lines) - line_lengths(truth, kind.lines)).abs() / px_per_cm[:, None]
    found = reordered(xy, match_exchangeable(xy, truth, state > 0, kind.exchangeable))
    close = errors < 8  # so that a few gross errors do not hide a shift
    offset = torch.linalg.vector_norm((found - truth)[close].double().mean(0))
    return {
        "point_err_px": float(errors.mean()),
        "median_px": float(errors.median()),
        "point_err_cm": float((errors / px_per_cm[:, None]).mean()),
        "line_err_cm": float(lengths.mean()),
        "interior_px": float(errors[inside].mean()),
        "border_px": float(errors[border].mean()),
        "beyond_px": float(errors[beyond].mean()),
        "offset_px": float(offset),
        "within_2_px": float((errors < 2).double().mean()),
        "border_points": int(border.sum()),
        "beyond_points": int(beyond.sum()),
    }


def one(job: tuple[str, int, int, int, int, str]) -> tuple[str, int, dict[str, dict[str, float]]]:
    """Train and judge one training of one seed: row -> figures."""
    name, seed, pictures, judged, steps, work = job
    torch.set_num_threads(1)
    kind = beetles(TRAINING[:pictures])
    data = cache_keypoints(kind, Path(work) / "cache", side=SIZE[0] + 32)
    held_out = [make_beetle(s) for s in HELD_OUT[:judged]]
    other = cache_keypoints(
        KeypointSet(records=[b.record for b in held_out], names=kind.names), Path(work) / "cache", side=SIZE[0]
    )
    truth = torch.from_numpy(np.stack([b.points for b in held_out]))
    model = train(name, seed, data, kind, steps, Path(work))
    rows = {row: predict(model, decoder, name, other) for row, (of, decoder) in ROWS.items() if of == name}
    print(f"{name}, seed {seed}: done", flush=True)
    return name, seed, {row: judge(xy.double(), truth, other.px_per_cm.double(), kind) for row, xy in rows.items()}


def main(quick: bool = False) -> None:
    threads(1)
    pictures, judged, steps, seeds, work = (
        (64, 24, 6, (0,), WORK / "quick") if quick else (PICTURES, JUDGED, STEPS, SEEDS, WORK)
    )
    work.mkdir(parents=True, exist_ok=True)
    jobs = [(name, seed, pictures, judged, steps, str(work)) for seed in seeds for name in TRAININGS]
    cache_keypoints(
        beetles(TRAINING[:pictures]), work / "cache", side=SIZE[0] + 32
    )  # once, before the processes ask for it
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        found = pool.map(one, jobs, chunksize=1)
    figures: dict[str, list[dict[str, float]]] = {row: [] for row in ROWS}
    for _, _, rows in found:
        for row, values in rows.items():
            figures[row].append(values)
    text = as_table(figures, len(seeds))
    print(text)
    write(
        "keypoints",
        {"rows": figures, "pictures": pictures, "judged": judged, "steps": steps, "seeds": list(seeds)},
        quick=quick,
    )
    if not quick:
        insert(PAGE, "keypoints", text)


def as_table(figures: dict[str, list[dict[str, float]]], seeds: int) -> str:
    """Means over seeds, and how far the seeds lie apart."""
    columns = {
        "point_err_px": "points, px",
        "median_px": "median, px",
        "point_err_cm": "points, cm",
        "line_err_cm": "lengths, cm",
        "interior_px": "interior, px",
        "border_px": "border, px",
        "beyond_px": "beyond the edge, px",
        "offset_px": "common shift, px",
    }

    def cell(values: list[float]) -> str:
        mean = statistics.fmean(values)
        return (
            f"{mean:.3g} ± {statistics.stdev(values):.1g}" if len(values) > 1 and math.isfinite(mean) else f"{mean:.3g}"
        )

    rows = [
        [
            row,
            *(cell([v[c] for v in values]) for c in columns),
            cell([v["border_px"] / v["interior_px"] for v in values]),
        ]
        for row, values in figures.items()
    ]
    return table(
        f"Generated beetles, 128 x 128, {JUDGED} held-out pictures, mean ± standard deviation of {seeds} seeds",
        ["", *columns.values(), "border / interior"],
        rows,
    )


if __name__ == "__main__":
    if "--again" in sys.argv:  # the table from the figures that are kept
        kept = json.loads((Path(__file__).parent / "results" / "keypoints.json").read_text())
        results: Any = kept["rows"]
        insert(PAGE, "keypoints", as_table(results, len(kept["seeds"])))
    else:
        main(quick="--quick" in sys.argv)
