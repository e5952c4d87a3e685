"""The convex tail beside unfold + softmax + sum, and the lift of three orthographic views beside the search of a dense volume.

CPU seconds of one thread, so that a busy machine counts less. The dense search is what the published systems run: the
centres of 224^3 voxels projected into each view, sampled bilinearly, averaged, and the largest taken; it yields a voxel
alone, where the lift also gives the refined point, the covariance and the disagreement.
"""

from __future__ import annotations

import ctypes
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from bench.measure import in_fresh_process, publish, table, threads, write

EAGER_TARGET, TAIL_TARGET, LIFT_TARGET, MEMORY_MB = 2.5, 4.0, 11.0, 25.0

MEMORY = """
import json, torch
from bench.measure import peak_rss_mb
from isotherm.decode.lift3d import lift_orthographic
torch.set_num_threads(1)
with torch.no_grad():
    lift_orthographic(torch.randn(1, 3, 16, 16))
    maps = torch.randn({batch}, 3, {side}, {side})
    before = peak_rss_mb()
    lift_orthographic(maps)
print(json.dumps({{"extra_mb": peak_rss_mb() - before}}))
"""


def unfold_tail(values: torch.Tensor, mask: torch.Tensor, ratio: int, scale: float) -> torch.Tensor:
    """The published form."""
    b, c, h, w = values.shape
    weights = (scale * mask).view(b, 1, 9, ratio, ratio, h, w).softmax(2)
    around = F.unfold(values, 3, padding=1).view(b, c, 9, 1, 1, h, w)
    return (weights * around).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(b, c, h * ratio, w * ratio)


def dense_search(maps: torch.Tensor) -> torch.Tensor:
    """(v, h, w) logits over the cube -> the best voxel's index, by sampling every voxel in every view."""
    n = maps.shape[-1]
    probability = maps.flatten(1).softmax(1).view_as(maps)
    line = (torch.arange(n) + 0.5) / n * 2 - 1
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    seen = ((x, -y), (y, -z), (x, -z))
    grids = torch.stack([torch.stack(pair, -1).view(1, -1, 2) for pair in seen])
    sampled = F.grid_sample(probability[:, None], grids, align_corners=False, padding_mode="border")
    return sampled.mean(0).argmax()


def cpu_seconds(jobs: Mapping[str, Callable[[], Any]], repeats: int, *, settle: int = 2) -> dict[str, float]:
    """Median CPU seconds; the jobs take turns, each behind some runs of its own.

    The first finds the memory that another job left, and the second pays for giving it back: 12 ms of the system's time behind
    the tensors of unfold, which is more than the job takes.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats + 2):
        for name, job in jobs.items():
            for _ in range(settle):
                job()
            start = time.process_time()
            job()
            if turn >= 2:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def keep_memory() -> None:
    """Let glibc keep what is freed for the next tensor; with another allocator nothing changes.

    Else it is chance whether the tensors of unfold are given back to the system and fetched again, by which the plain
    form takes 12 ms, 23 ms or 46 ms. Kept, it is at its fastest.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(-3, 32 << 20)  # tensors of up to 32 MB come from memory that is kept
        set_option(-1, 1 << 30)  # and of that 1 GB is


def tail(side: int, repeats: int, *, settle: int = 2) -> list[list[Any]]:
    from isotherm.ops.convex_upsample import convex_upsample

    torch.manual_seed(0)
    ratio, cells = 14, side // 14
    values, mask = torch.randn(16, 1, cells, cells), torch.randn(16, 9 * ratio**2, cells, cells)
    compiled = torch.compile(convex_upsample, fullgraph=True)

    def ours(function, padding):
        return lambda: function(values, mask, ratio=ratio, mask_scale=0.1, padding=padding)

    jobs = {
        "unfold + softmax + sum": lambda: unfold_tail(values, mask, ratio, 0.1),
        "isotherm, eager, zeros": ours(convex_upsample, "zeros"),
        "isotherm, eager, renorm": ours(convex_upsample, "renorm"),
        "isotherm, compiled, zeros": ours(compiled, "zeros"),
        "isotherm, compiled, renorm": ours(compiled, "renorm"),
    }
    expected = jobs["unfold + softmax + sum"]()
    for name in ("isotherm, eager, zeros", "isotherm, compiled, zeros"):
        assert torch.allclose(jobs[name](), expected, atol=1e-5), name
    seconds = cpu_seconds(jobs, repeats, settle=settle)
    base = seconds["unfold + softmax + sum"]
    return [[name, 1000 * s, base / s] for name, s in seconds.items()]


def lift(side: int, repeats: int) -> tuple[list[list[Any]], float]:
    from isotherm.decode.lift3d import lift_orthographic

    torch.manual_seed(0)
    maps = torch.randn(3, side, side)
    index = int(dense_search(maps))
    dense = torch.tensor([index % side, index // side % side, index // side**2])
    found = lift_orthographic(maps, fusion="mean").xyz
    # refined within the voxel that the dense search finds
    assert ((((found + 1) / 2 * side) - (dense + 0.5)).abs() <= 0.5 + 1e-3).all()
    jobs = {
        "dense search": lambda: dense_search(maps),
        "isotherm, mean": lambda: lift_orthographic(maps, fusion="mean"),
        "isotherm, product": lambda: lift_orthographic(maps),
    }
    seconds = cpu_seconds(jobs, repeats)
    base = seconds["dense search"]
    return [[name, 1000 * s, base / s] for name, s in seconds.items()], base / max(
        seconds["isotherm, mean"], seconds["isotherm, product"]
    )


def main(quick: bool = False) -> None:
    threads(1)
    side, repeats = (56, 3) if quick else (224, 15)
    with torch.no_grad():
        lift_rows, lift_factor = lift(side, min(repeats, 5))
        keep_memory()
        tail_rows = tail(side, 3 if quick else 100)
    memory = {batch: in_fresh_process(MEMORY.format(batch=batch, side=side))["extra_mb"] for batch in (1, 4)}
    columns, load = ["", "CPU ms", "times as fast"], os.getloadavg()[0]
    texts = [
        table(f"Convex tail, batch 16, {side} x {side}, ratio 14, one thread, memory kept", columns, tail_rows),
        table(f"Three views -> point, {side}^3 voxels, one thread", columns, lift_rows),
        f"Extra memory of the lift: {memory[1]:.0f} MB for one, {memory[4]:.0f} MB for a batch of four.\n",
        f"The load of the machine was {load:.1f} on {os.cpu_count()} cores.\n",
    ]
    print("\n".join(texts))
    eager, compiled = (min(row[2] for row in rows) for rows in (tail_rows[1:3], tail_rows[3:5]))
    print(f"tail {eager:.2f} times as fast ({EAGER_TARGET:g} wanted), compiled {compiled:.2f} ({TAIL_TARGET:g} wanted)")
    print(f"lift {lift_factor:.1f} times ({LIFT_TARGET:.0f} wanted), within {MEMORY_MB:.0f} MB wanted")
    write("heads", {"side": side, "tail": tail_rows, "lift": lift_rows, "extra_mb": memory, "load": load}, quick=quick)
    publish("heads", texts, quick=quick)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
