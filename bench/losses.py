"""The target-free losses beside the target made by exponentials over the grid and the loss on it: time and memory.

One loss forward and backward. The floor is a copy of the prediction: no loss can do with less than reading it and writing
its gradient.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.nn.functional as F

from bench.measure import in_fresh_process, interleaved, publish, table, threads, write
from isotherm import losses

SHAPES = {
    "64 x 17 x 64 x 48": (64, 17, 64, 48),
    "16 x 4 x 64 x 64": (16, 4, 64, 64),
    "8 x 3 x 224 x 224": (8, 3, 224, 224),
}
ASKED = ("64 x 17 x 64 x 48", "8 x 3 x 224 x 224")
WANTED = {"mse": 8.0, "cross-entropy": 4.0}

MEMORY = """
import json, torch
from bench.losses import jobs
from bench.measure import peak_growth_mb
torch.set_num_threads(1)
jobs((1, 1, 8, 8))[{name!r}]()
print(json.dumps({{"mb": peak_growth_mb(jobs({shape})[{name!r}])}}))
"""


def grid_gaussian(points: torch.Tensor, h: int, w: int, sigma: float) -> torch.Tensor:
    """(b, n, 2) points in cells -> (b, n, h, w) peaks by one exponential per cell."""
    xs, ys = (torch.arange(n, device=points.device) + 0.5 for n in (w, h))
    square = (xs - points[..., 0, None, None]) ** 2 + (ys[:, None] - points[..., 1, None, None]) ** 2
    return torch.exp(-square / (2 * sigma**2))


def jobs(shape: tuple[int, int, int, int], device: str = "cpu") -> dict[str, Any]:
    """Every loss, forward and backward, on the same maps."""
    b, n, h, w = shape
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(shape, generator=generator).to(device).requires_grad_()
    points = (torch.rand(b, n, 2, generator=generator) * torch.tensor([w, h])).to(device)

    def step(loss: Any) -> Any:
        def run() -> None:
            maps.grad = None
            loss().backward()

        return run

    def grid_cross_entropy() -> torch.Tensor:
        target = grid_gaussian(points, h, w, 2.0).view(b * n, -1)
        return F.cross_entropy(maps.view(b * n, -1), target / target.sum(-1, keepdim=True))

    made = grid_gaussian(points, h, w, 2.0)
    return {
        "mse, grid": step(lambda: F.mse_loss(maps, grid_gaussian(points, h, w, 2.0))),
        "mse, target there already": step(lambda: F.mse_loss(maps, made)),
        "mse, isotherm": step(lambda: losses.gaussian_mse(maps, points, sigma_cells=2.0)),
        "cross-entropy, grid": step(grid_cross_entropy),
        "cross-entropy, isotherm": step(lambda: losses.gaussian_cross_entropy(maps, points, sigma_cells=2.0)),
        "floor: copy": lambda: maps.detach().clone(),
    }


def main(quick: bool = False) -> None:
    shapes = {"4 x 17 x 64 x 48": (4, 17, 64, 48)} if quick else SHAPES
    rows: list[list[Any]] = []
    least = {"mse": float("inf"), "cross-entropy": float("inf")}
    for count in (1, 2):
        threads(count)
        for name, shape in shapes.items():
            seconds = interleaved(jobs(shape), repeats=3 if quick else 25, warmup=1, settle=2)
            for job, s in seconds.items():
                peer = job.split(",")[0] + ", grid"
                factor = seconds[peer] / s if peer in seconds else None
                rows.append([name, count, job, 1000 * s, "" if factor is None else factor, s / seconds["floor: copy"]])
            for loss in least if name in ASKED or quick else ():
                least[loss] = min(least[loss], seconds[f"{loss}, grid"] / seconds[f"{loss}, isotherm"])
    memory = []
    for job in ("mse, grid", "mse, isotherm", "cross-entropy, grid", "cross-entropy, isotherm"):
        shape = (4, 17, 64, 48) if quick else (256, 17, 64, 48)
        gradient = 4 * shape[0] * shape[1] * shape[2] * shape[3] / 2**20
        used = in_fresh_process(MEMORY.format(name=job, shape=shape))["mb"]
        memory.append([job, used, used / gradient])
    texts = [
        table(
            "Loss, forward and backward, sigma 2",
            ["maps", "threads", "loss", "ms", "times as fast as grid", "/ floor"],
            rows,
        ),
        table("Peak memory of a loss, 256 x 17 x 64 x 48", ["loss", "MB", "/ gradient"], memory),
    ]
    print("\n".join(texts))
    print(
        ", ".join(
            f"{name} at least {factor:.1f} times as fast ({WANTED[name]:.0f} wanted)" for name, factor in least.items()
        )
    )
    write("losses", {"rows": rows, "memory": memory, "least": least}, quick=quick)
    publish("losses", texts, quick=quick)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
