"""How often the ellipses of decoded points hold the true place: of every level, in white and in smooth noise, on a
background, and of trained keypoint heads, whose errors are those of what they mistake for what.

The heads are bench/keypoints.py's, trained for fewer steps; one that is there is opened. Half of the held-out pictures
fit what is fitted, the other half is judged.
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.keypoints import PICTURES, SIZE, TRAININGS, train
from bench.measure import insert, table, threads, write
from isotherm.data.beetles import HELD_OUT, TRAINING, beetles, make_beetle
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.data.keypoints import KeypointSet
from isotherm.decode import coverage, fit_covariance_scale, fit_ellipse_levels, least_squares, scale_covariance
from isotherm.metrics.point_errors import match_exchangeable, reordered
from isotherm.ops.gaussian import outer, peak_vectors
from isotherm.points import Points
from isotherm.train.keypoint_predict import predict_cached

LEVELS = (0.2, 0.4, 0.6, 0.8, 0.95)
SEEDS = (0, 1, 2)
NOISE, CELLS, STEPS, JUDGED = 0.05, 64, 500, 600
WORK = Path(__file__).parent / ".work" / "ellipses"
PAGE = Path(__file__).parents[1] / "docs" / "decoders.md"


def smooth_noise(count: int, length: float, generator: torch.Generator) -> Tensor:
    """(count, 1, CELLS, CELLS) of variance 1, smoothed by a Gaussian of so many cells."""
    radius = math.ceil(4 * length)
    noise = torch.randn(count, 1, CELLS + 2 * radius, CELLS + 2 * radius, generator=generator)
    if not length:
        return noise
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / length).square())
    noise = F.conv2d(F.conv2d(noise, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    return noise / kernel.square().sum()


def places(count: int, sigma: float, generator: torch.Generator, *, border: bool = False) -> Tensor:
    """(count, 1, 2): 3 sigma inside, or within 2 cells of the left edge."""
    at = 3 * sigma + (CELLS - 6 * sigma) * torch.rand(count, 1, 2, generator=generator)
    if border:
        at[..., 0] = 2 * torch.rand(count, 1, generator=generator)
    return at


def maps_at(at: Tensor, sigma: float) -> Tensor:
    return outer(*peak_vectors(at, torch.full_like(at, sigma), (CELLS, CELLS)))


def held(points: Points, at: Tensor) -> list[float]:
    return [100 * coverage(points, Points(at), level=level) for level in LEVELS]


def in_noise(count: int, seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    """Rows: coverage in noise of a length, today's and that of white noise's bound; least and most of the seeds."""
    rows = []
    for sigma in (1.0, 2.0, 3.0):
        for length in (0, 1, 2, 3):
            found: dict[str, list[list[float]]] = {"white": [], "known": [], "fitted": []}
            for seed in seeds:
                generator = torch.Generator().manual_seed(seed)
                at = places(count, sigma, generator)
                maps = maps_at(at, sigma) + NOISE * smooth_noise(count, length, generator)
                points = least_squares(maps, sigma_cells=sigma)
                # inside, white noise of this variance moves a place by noise sqrt(2 / pi) along each axis
                white = torch.eye(2).expand(count, 1, 2, 2) * NOISE**2 * 2 / math.pi
                found["white"].append(held(Points(points.xy, covariance=white), at))
                found["known"].append(held(points, at))
                found["fitted"].append(held(least_squares(maps), at))
            rows.append({"sigma": sigma, "length": length, **found})
    return rows


def on_a_background(count: int) -> list[dict[str, Any]]:
    """Rows: mean error in cells, mean score and coverage at 95 % with and without a background."""
    rows = []
    for border in (False, True):
        for level in (0.0, 0.1, 0.3):
            generator = torch.Generator().manual_seed(0)
            at = places(count, 2.0, generator, border=border)
            maps = level + maps_at(at, 2.0) + NOISE * smooth_noise(count, 0, generator)
            row: dict[str, Any] = {"border": border, "level": level}
            for name, sigma in (("known", 2.0), ("fitted", None)):
                for background in (False, True):
                    points = least_squares(maps, sigma_cells=sigma, background=background)
                    error = (points.xy - at).norm(dim=-1)
                    row[f"{name}, {'with' if background else 'without'}"] = [
                        float(error.nanmean()),
                        float(points.score.mean()),
                        100 * coverage(points, Points(at)),
                    ]
            rows.append(row)
    return rows


def of_heads(steps: int, pictures: int, judged: int, seeds: tuple[int, ...], work: Path) -> list[dict[str, Any]]:
    """Rows: coverage of a trained head's ellipses as they are, by one factor, and by fitted levels."""
    work.mkdir(parents=True, exist_ok=True)
    kind = beetles(TRAINING[:pictures])
    data = cache_keypoints(kind, work / "cache", side=SIZE[0] + 32)
    beetle = [make_beetle(s) for s in HELD_OUT[:judged]]
    other = cache_keypoints(
        KeypointSet(records=[b.record for b in beetle], names=kind.names), work / "cache", side=SIZE[0]
    )
    truth = torch.from_numpy(np.stack([b.points for b in beetle])).double()
    rows = []
    for name in ("cross-entropy", "MSE"):
        found: dict[str, list[list[float]]] = {"as decoded": [], "one factor": [], "levels": []}
        for seed in seeds:
            model = train(name, seed, data, kind, steps, work)
            points = predict_cached(model, TRAININGS[name].objective, other, size=SIZE, batch=50)
            order = match_exchangeable(
                points.xy.double(), truth, torch.ones(truth.shape[:2], dtype=torch.bool), kind.exchangeable
            )
            xy = reordered(points.xy.double(), order)
            assert points.covariance is not None
            covariance = points.covariance.double().gather(1, order[..., None, None].expand(*order.shape, 2, 2))
            half = judged // 2
            first, second = (
                Points(xy[rows_], covariance=covariance[rows_]) for rows_ in (slice(half), slice(half, None))
            )
            scale = fit_covariance_scale(first, Points(truth[:half]))
            rule = fit_ellipse_levels(first, Points(truth[:half]))
            found["as decoded"].append(held(second, truth[half:]))
            found["one factor"].append(held(scale_covariance(second, scale), truth[half:]))
            found["levels"].append(
                [
                    100 * coverage(scale_covariance(second, rule.factor(level)), Points(truth[half:]), level=level)
                    for level in LEVELS
                ]
            )
        rows.append({"head": name, **found})
    return rows


def _means(runs: list[list[float]]) -> list[str]:
    return [f"{statistics.fmean(column):.0f}" for column in zip(*runs, strict=True)]


def _off(runs: list[list[float]]) -> str:
    """The largest distance of a mean over seeds from its level, in points."""
    return (
        f"{max(abs(statistics.fmean(c) - 100 * at) for c, at in zip(zip(*runs, strict=True), LEVELS, strict=True)):.1f}"
    )


def tables(noise: list[dict[str, Any]], background: list[dict[str, Any]], heads: list[dict[str, Any]]) -> str:
    """The three tables."""
    shown = "/".join(f"{100 * level:.0f}" for level in LEVELS)
    first = table(
        f"Share of true places inside of the ellipses of {shown} %, in percent; peaks in noise {NOISE}, mean of seeds",
        ["sigma", "noise smoothed over", "white noise's bound", "sigma known", "off by", "sigma fitted", "off by"],
        [
            [
                row["sigma"],
                f"{row['length']} cells" if row["length"] else "white",
                "/".join(_means(row["white"])),
                "/".join(_means(row["known"])),
                _off(row["known"]),
                "/".join(_means(row["fitted"])),
                _off(row["fitted"]),
            ]
            for row in noise
        ],
    )
    names = [name for name in background[0] if "with" in name] if background else []
    second = table(
        "Peaks of sigma 2 on a background: mean error in cells / mean score / share inside of the ellipses of 95 %",
        ["place", "background", *(f"sigma {name}" for name in names)],
        [
            [
                "border" if row["border"] else "inside",
                row["level"],
                *(f"{e:.3f} / {s:.2f} / {c:.0f}" for e, s, c in (row[name] for name in names)),
            ]
            for row in background
        ],
    )
    third = table(
        f"Keypoint heads on held-out beetles: share inside of the ellipses of {shown} %, mean of seeds",
        ["head", "as decoded", "one factor", "off by", "fitted levels", "off by"],
        [
            [
                row["head"],
                "/".join(_means(row["as decoded"])),
                "/".join(_means(row["one factor"])),
                _off(row["one factor"]),
                "/".join(_means(row["levels"])),
                _off(row["levels"]),
            ]
            for row in heads
        ],
    )
    return "\n".join((first, second, third))


def main(*, quick: bool = False) -> None:
    """Print the tables and, unless quick, write results/ellipses.json and docs/decoders.md."""
    threads(1)
    seeds = SEEDS[:1] if quick else SEEDS
    noise, background = in_noise(60 if quick else 2000, seeds), on_a_background(60 if quick else 2000)
    heads = of_heads(*((6, 64, 24) if quick else (STEPS, PICTURES, JUDGED)), seeds, WORK / "quick" if quick else WORK)
    text = tables(noise, background, heads)
    print(text)
    write("ellipses", {"levels": LEVELS, "noise": noise, "background": background, "heads": heads}, quick=quick)
    if not quick:
        insert(PAGE, "ellipses", text)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few maps, nothing written")
    main(quick=parser.parse_args().quick)
