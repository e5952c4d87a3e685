"""How long decoders take for 64 x 17 maps of 64 x 48 and of 64 x 64 cells, beside mmpose's DARK.

DARK as mmpose computes it (``refine_keypoints_dark``, at 759b39c, from its formulas): per map OpenCV's blur inside a frame of
zeros, the logarithm, and a Newton step at every point. Ours is batched and gives the same places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch

from bench.measure import interleaved, publish, table, threads, write
from isotherm.decode import argmax, dark, least_squares, moment_inverse, soft_argmax
from isotherm.ops.gaussian import outer, peak_vectors

WANTED = {"moment_inverse": 4.0, "least_squares": 1.0}


def mmpose_dark(batch: np.ndarray, kernel: int = 11) -> np.ndarray:
    """(b, n, h, w) -> (b, n, 2) index coordinates."""
    found = []
    for maps in batch:
        n, h, w = maps.shape
        cell = maps.reshape(n, -1).argmax(1)
        xy = np.stack([cell % w, cell // w], -1).astype(np.float32)
        logs = np.log(np.maximum(_blurred(maps, kernel), 1e-10))
        for k in range(n):
            x, y = xy[k].astype(int)
            if 1 < x < w - 2 and 1 < y < h - 2:
                at = logs[k]
                slope = 0.5 * np.array([at[y, x + 1] - at[y, x - 1], at[y + 1, x] - at[y - 1, x]])
                xx = 0.25 * (at[y, x + 2] - 2 * at[y, x] + at[y, x - 2])
                yy = 0.25 * (at[y + 2, x] - 2 * at[y, x] + at[y - 2, x])
                xy_ = 0.25 * (at[y + 1, x + 1] - at[y - 1, x + 1] - at[y + 1, x - 1] + at[y - 1, x - 1])
                if xx * yy - xy_**2 != 0:
                    xy[k] -= np.linalg.inv(np.array([[xx, xy_], [xy_, yy]])) @ slope
        found.append(xy)
    return np.stack(found)


def _blurred(maps: np.ndarray, kernel: int) -> np.ndarray:
    edge = kernel // 2
    out = np.empty_like(maps)
    for k, one in enumerate(maps):
        framed = np.zeros((one.shape[0] + 2 * edge, one.shape[1] + 2 * edge), np.float32)
        framed[edge:-edge, edge:-edge] = one
        out[k] = cv2.GaussianBlur(framed, (kernel, kernel), 0)[edge:-edge, edge:-edge]
        out[k] *= one.max() / out[k].max()
    return out


def decode_rows(count: int, *, quick: bool = False) -> tuple[list[list[Any]], dict[str, float]]:
    """Rows of a table, and the least ratio to mmpose's DARK of the decoders that one is wanted of."""
    generator = torch.Generator().manual_seed(0)
    rows: list[list[Any]] = []
    least = dict.fromkeys(WANTED, float("inf"))
    for h, w in ((16, 16),) if quick else ((64, 48), (64, 64)):
        xy = torch.rand(64, 17, 2, generator=generator) * torch.tensor([w, h])
        maps = outer(*peak_vectors(xy, torch.full_like(xy, 2.0), (h, w))) + 0.05 * torch.randn(
            64, 17, h, w, generator=generator
        )
        logits, array = 10 * maps, maps.numpy()
        assert np.abs(mmpose_dark(array) + 0.5 - dark(maps).xy.numpy()).max() < 1e-3
        jobs: dict[str, Callable[[], Any]] = {
            "DARK, mmpose": lambda array=array: mmpose_dark(array),
            "DARK, isotherm": lambda maps=maps: dark(maps),
            "argmax": lambda maps=maps: argmax(maps),
            "soft_argmax": lambda logits=logits: soft_argmax(logits),
            "moment_inverse": lambda logits=logits: moment_inverse(logits, sigma_cells=2.0),
            "least_squares": lambda maps=maps: least_squares(maps, sigma_cells=2.0),
            "least_squares, sigma fitted": lambda maps=maps: least_squares(maps),
        }
        seconds = interleaved(jobs, repeats=1 if quick else 15, warmup=1, settle=2)
        for name, s in seconds.items():
            rows.append([f"64 x 17 x {h} x {w}", count, name, s * 1e3, seconds["DARK, mmpose"] / s])
        for name in WANTED:
            least[name] = min(least[name], seconds["DARK, mmpose"] / seconds[name])
    return rows, least


def main(*, quick: bool = False) -> None:
    """Print the table and, unless quick, write results/decode_speed.json."""
    rows: list[list[Any]] = []
    least = dict.fromkeys(WANTED, float("inf"))
    for count in (1, 2):
        cv2.setNumThreads(threads(count))
        more, ratios = decode_rows(count, quick=quick)
        rows += more
        least = {name: min(least[name], ratios[name]) for name in WANTED}
    text = table("Decoding, mmpose's DARK as the measure", ["maps", "threads", "decoder", "ms", "times as fast"], rows)
    print(text)
    print(
        ", ".join(
            f"{name} at least {ratio:.1f} times as fast ({WANTED[name]:.0f} wanted)" for name, ratio in least.items()
        )
    )
    write("decode_speed", {"rows": rows, "least": least}, quick=quick)
    publish("decode_speed", [text], quick=quick)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small maps, nothing written")
    main(quick=parser.parse_args().quick)
