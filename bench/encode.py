"""Gaussian targets beside mmpose's generators, kornia's renderer and a plain fill: seconds per batch, same values.

kornia is kornia itself. mmpose's formulas are written anew, in the form in which it computes: keypoint by keypoint in NumPy.
"""

from __future__ import annotations

import numpy as np
import torch
from kornia.geometry.subpix import render_gaussian2d

from bench.measure import interleaved, publish, table, threads, write
from isotherm import targets

SHAPES = ((64, 17, 64, 48), (64, 4, 64, 64))
SIGMA = 2.0


def mmpose(keypoints: np.ndarray, size: tuple[int, int], sigma: float, *, exact: bool) -> np.ndarray:
    """mmpose's generators (759b39c) of one picture: per keypoint a patch of +-3 sigma, made and pasted.

    exact: about the place itself (generate_udp_gaussian_heatmaps), or about the nearest cell (generate_gaussian_heatmaps).
    """
    h, w = size
    out = np.zeros((len(keypoints), h, w), dtype=np.float32)
    reach = int(3 * sigma)
    grid = np.arange(2 * reach + 1, dtype=np.float32) - reach
    for k, point in enumerate(keypoints):
        cell = (point + 0.5).astype(np.int64)
        (left, top), (right, bottom) = cell - reach, cell + reach + 1
        if left >= w or top >= h or right < 0 or bottom < 0:
            continue
        dx, dy = point - cell if exact else (0.0, 0.0)
        patch = np.exp(-((grid - dx) ** 2 + (grid[:, None] - dy) ** 2) / (2 * sigma**2))
        rows, columns = slice(max(0, top), min(bottom, h)), slice(max(0, left), min(right, w))
        part = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        np.maximum(out[k, rows, columns], part, out=out[k, rows, columns])
    return out


def main(*, quick: bool = False) -> None:
    """Print the tables and, unless quick, write results/encode.json."""
    texts, results = [], {}
    for count in (1, 2):
        threads(count)
        rows = []
        for b, n, h, w in SHAPES:
            generator = torch.Generator().manual_seed(b + n)
            cells = torch.rand(b, n, 2, generator=generator) * torch.tensor([w, h])
            index, std, blank = cells - 0.5, torch.full((b * n, 2), SIGMA), torch.empty(b, n, h, w)
            arrays = index.numpy()
            jobs = {
                "peak": lambda c=cells, s=(h, w): targets.gaussian(c, s, sigma_cells=SIGMA).heatmap.values,
                "probability": lambda c=cells, s=(h, w): (
                    targets.gaussian(c, s, sigma_cells=SIGMA, kind="probability").heatmap.values
                ),
                "mmpose MSRA": lambda a=arrays, s=(h, w): np.stack([mmpose(k, s, SIGMA, exact=False) for k in a]),
                "mmpose UDP": lambda a=arrays, s=(h, w): np.stack([mmpose(k, s, SIGMA, exact=True) for k in a]),
                "kornia": lambda i=index, d=std, s=(h, w): render_gaussian2d(
                    i.flatten(0, 1), d, s, normalized_coordinates=False
                ),
                "fill_": lambda t=blank: t.fill_(0.5),
            }
            # a generator that is fast and wrong would prove nothing
            made = torch.from_numpy(jobs["mmpose UDP"]())
            udp_error = float((jobs["peak"]() - made)[made > 0].abs().max())
            kornia_error = float((jobs["probability"]() - jobs["kornia"]().view(b, n, h, w)).abs().max())
            seconds = interleaved(jobs, repeats=7 if quick else 51, warmup=1, settle=2)
            ours, shape = seconds["peak"], f"{b}x{n}x{h}x{w}"
            ratios = [seconds["mmpose MSRA"] / ours, seconds["mmpose UDP"] / ours]
            ratios += [seconds["probability"] / seconds["kornia"], ours / seconds["fill_"]]
            rows.append([shape, *[1e3 * s for s in seconds.values()], *ratios, f"{max(udp_error, kornia_error):.0e}"])
            results[f"{shape}, {count} threads"] = {
                "seconds": seconds,
                "difference_udp": udp_error,
                "difference_kornia": kornia_error,
            }
        columns = ["maps", "peak ms", "probability ms", "MSRA ms", "UDP ms", "kornia ms", "fill_ ms"]
        columns += ["MSRA / peak", "UDP / peak", "probability / kornia", "peak / fill_", "largest difference"]
        texts.append(table(f"Gaussian targets, sigma {SIGMA:g}, {count} thread{'s' * (count > 1)}", columns, rows))
        print(texts[-1])
    publish("encode", texts, quick=quick)
    write("encode", {"sigma_cells": SIGMA, "rows": results}, quick=quick)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repeats, nothing written")
    main(quick=parser.parse_args().quick)
