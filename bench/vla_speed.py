"""Robot heatmaps: the converter's head, the lift of a batch and the convex tail beside plain formulations, and what a thousand figures leave behind.

CPU seconds of one thread; what is compared takes turns, and the factors are medians of the turns' own ratios, so that a
busy machine counts less. Peak memory is that of a process of its own per row. The plain head is the published formula as
it is read: 3x3 convolutions of contiguous tensors, unfold, softmax, sum. The plain lift projects the centres of all
voxels into each view, for every scene or once, samples, averages and searches scene by scene.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.heads import tail, unfold_tail
from bench.measure import in_fresh_process, publish, rss_mb, table, threads, write

WANTED = {"bottleneck": 40.0, "lift": 11.0, "lift_mb": 25.0, "tail, eager": 2.5, "tail, compiled": 4.0}
RATIO, GRID, BATCH = 14, 16, 3
PLAIN, FULL, NARROW = "plain", "full, channels last, compiled tail", "bottleneck of 256, compiled tail"
EACH, KEPT = "plain, projected for every scene", "plain, projected once and kept"

MEMORY = """
import json, torch
from bench.measure import peak_growth_mb, peak_rss_mb, threads
from bench.vla_speed import heads, lifts
threads(1)
with torch.no_grad():
    {job}
    job()
    extra = peak_growth_mb(job)
print(json.dumps({{"peak_mb": peak_rss_mb(), "extra_mb": extra}}))
"""


class PlainHead(nn.Module):
    """The published formula, written down."""

    def __init__(self, c: int) -> None:
        super().__init__()
        values = [nn.Conv2d(c, 2 * c, 3, padding=1), nn.ReLU(), nn.Conv2d(2 * c, 2 * c, 3, padding=1), nn.ReLU()]
        self.net_out = nn.Sequential(*values, nn.Conv2d(2 * c, 1, 3, padding=1))
        self.net_mask = nn.Sequential(nn.Conv2d(c, 2 * c, 3, padding=1), nn.ReLU(), nn.Conv2d(2 * c, 9 * RATIO**2, 1))

    def forward(self, features: Tensor) -> Tensor:
        return unfold_tail(self.net_out(features), self.net_mask(features), RATIO, 0.1)


def heads(c: int, *names: str) -> dict[str, Callable[[], Tensor]]:
    """Calls of these heads on the same features; plain and full share their weights."""
    from isotherm.heads import ConvexUpsample
    from isotherm.ops.convex_upsample import convex_upsample

    torch.manual_seed(0)
    features = torch.randn(BATCH, c, GRID, GRID)
    last = features.contiguous(memory_format=torch.channels_last)
    upsample = torch.compile(convex_upsample, fullgraph=True)
    jobs: dict[str, Callable[[], Tensor]] = {}

    def compiled_tail(head: ConvexUpsample, features: Tensor) -> Tensor:
        reduced = head.reduce(features)
        return upsample(
            head.net_out(reduced), head.net_mask(reduced), ratio=RATIO, mask_scale=0.1, padding=head.config.padding
        )

    plain = PlainHead(c) if PLAIN in names else None
    if plain is not None:
        jobs[PLAIN] = lambda: plain(features)
    if FULL in names:
        full = ConvexUpsample(c, 1, ratio=RATIO, padding="zeros")
        if plain is not None:
            full.load_state_dict(plain.state_dict())
        full.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        jobs[FULL] = lambda: compiled_tail(full, last)
    if NARROW in names:
        narrow = ConvexUpsample(c, 1, ratio=RATIO, hidden_dim=c // 8)
        jobs[NARROW] = lambda: compiled_tail(narrow, features)
    return jobs


def lifts(side: int, batch: int) -> dict[str, Callable[[], Tensor]]:
    """The places of a batch of scenes, found the plain way and by the lift."""
    from isotherm.decode import lift_orthographic

    torch.manual_seed(0)
    maps = torch.randn(batch, 3, side, side)
    kept: list[Tensor] = []

    def projected() -> Tensor:
        line = (torch.arange(side) + 0.5) / side * 2 - 1
        z, y, x = torch.meshgrid(line, line, line, indexing="ij")
        return torch.stack([torch.stack(pair, -1).view(1, -1, 2) for pair in ((x, -y), (y, -z), (x, -z))])

    def plain(voxels: Callable[[], Tensor]) -> Tensor:
        best = []
        for scene in maps:
            probability = scene.flatten(1).softmax(1).view_as(scene)
            seen = F.grid_sample(probability[:, None], voxels(), align_corners=False, padding_mode="border")
            index = int(seen.mean(0).argmax())
            best.append([index % side, index // side % side, index // side**2])
        return (torch.tensor(best) + 0.5) / side * 2 - 1

    def once() -> Tensor:
        if not kept:
            kept.append(projected())
        return kept[0]

    return {
        EACH: lambda: plain(projected),
        KEPT: lambda: plain(once),
        "isotherm, mean": lambda: lift_orthographic(maps, fusion="mean").xyz,
        "isotherm, product": lambda: lift_orthographic(maps).xyz,
    }


def turns(jobs: Mapping[str, Callable[[], Any]], repeats: int, *, settle: int = 0) -> dict[str, list[float]]:
    """CPU seconds of each turn; the jobs take turns, behind one that does not count and, in every turn, as many as settle."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats + 1):
        for name, job in jobs.items():
            for _ in range(settle):
                job()
            start = time.process_time()
            job()
            if turn:
                times[name].append(time.process_time() - start)
    return times


def rows_of(times: Mapping[str, list[float]], base: str, memory: Mapping[str, Mapping[str, float]]) -> list[list[Any]]:
    """Median seconds, the median of the ratios within a turn, and memory."""
    return [
        [
            name,
            statistics.median(seconds),
            statistics.median(b / s for b, s in zip(times[base], seconds, strict=True)),
            *(memory[name].values() if name in memory else ()),
        ]
        for name, seconds in times.items()
    ]


def head_rows(c: int, repeats: int) -> list[list[Any]]:
    jobs = heads(c, PLAIN, FULL, NARROW)
    assert torch.allclose(jobs[PLAIN](), jobs[FULL](), atol=1e-4)  # the same numbers before any time is taken
    times = turns(jobs, repeats)
    del jobs
    memory = {
        name: in_fresh_process(MEMORY.format(job=f"job = heads({c}, {name!r})[{name!r}]"))
        for name in (PLAIN, FULL, NARROW)
    }
    return rows_of(times, PLAIN, memory)


def lift_rows(side: int, batch: int, repeats: int) -> list[list[Any]]:
    jobs = lifts(side, batch)
    # refined within the voxel that the plain search finds
    assert ((jobs["isotherm, mean"]() - jobs[KEPT]()).abs() <= 1.001 / side).all()
    assert torch.equal(jobs[EACH](), jobs[KEPT]())
    times = turns(jobs, repeats, settle=1)
    del jobs
    memory = {}
    for name in times:
        # the plain ways with what they hold, ours behind a small call that loads what is loaded once
        warm = "" if name in (EACH, KEPT) else f"lifts(16, 1)[{name!r}]()\n    "
        job = f"{warm}job = lifts({side}, {batch})[{name!r}]"
        memory[name] = in_fresh_process(MEMORY.format(job=job).replace("    job()\n", ""))
    return rows_of(times, EACH, memory)


def figure_rows(calls: int) -> list[list[Any]]:
    """What so many calls of each drawing function leave behind: objects, open figures, memory."""
    import matplotlib.pyplot as plt
    import numpy as np
    from PIL import Image

    from isotherm.systems import bridgevla as b

    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8))
    target = b.generate_hm_from_pt([20.0, 8.0], (24, 32), 2.0)
    draw: dict[str, Callable[[], Any]] = {
        "visualize_points_and_heatmap": lambda: b.visualize_points_and_heatmap(photo, [(0.5, 0.5)], target),
        "visualize_bboxes_and_heatmap": lambda: b.visualize_bboxes_and_heatmap(photo, [(0.5, 0.5, 0.2, 0.4)], target),
        "visualize_multi_view_heatmaps": lambda: b.visualize_multi_view_heatmaps([photo] * 2, [target] * 2),
        "visualize_attention_comparison": lambda: b.visualize_attention_comparison(photo, target, target),
    }
    rows = []
    for name, job in draw.items():
        for _ in range(10):
            job()
        gc.collect()
        objects, memory = len(gc.get_objects()), rss_mb()
        start = time.process_time()
        for _ in range(calls):
            job()
        seconds = time.process_time() - start
        gc.collect()
        rows.append(
            [
                name,
                calls,
                1000 * seconds / calls,
                len(gc.get_objects()) - objects,
                len(plt.get_fignums()),
                rss_mb() - memory,
            ]
        )
    return rows


def main(quick: bool = False) -> None:
    """Print the tables and, unless quick, write results/vla_speed.json and publish them."""
    threads(1)
    load = os.getloadavg()[0]
    with torch.no_grad():
        head = head_rows(128 if quick else 2048, 3 if quick else 5)
        lift = lift_rows(32 if quick else 224, 4, 3 if quick else 5)
        tails = tail(56 if quick else 224, 3 if quick else 25, settle=1)
    figures = figure_rows(5 if quick else 1000)
    load = max(load, os.getloadavg()[0])
    reached = {
        "bottleneck": head[2][2],
        "lift": min(row[2] for row in lift[2:]),
        "lift_mb": max(row[4] for row in lift[2:]),
        "tail, eager": min(row[2] for row in tails[1:3]),
        "tail, compiled": min(row[2] for row in tails[3:5]),
    }
    memory = ["peak MB of the process", "of these above what is there between calls"]
    texts = [
        table(
            "Head of 2048 features, 16 x 16 -> 224 x 224, three views, one thread",
            ["", "CPU s", "times as fast", *memory],
            head,
        ),
        table(
            "Four scenes of three views -> points, 224^3 voxels, one thread",
            ["", "CPU s", "times as fast", *memory],
            lift,
        ),
        table(
            "Convex tail, batch 16, ratio 14, one thread, memory fetched from the system",
            ["", "CPU ms", "times as fast"],
            tails,
        ),
        table(
            "Figures that nobody keeps",
            ["", "calls", "CPU ms each", "more objects", "open figures", "more MB"],
            figures,
        ),
        f"The load of the machine was up to {load:.1f} on {os.cpu_count()} cores.\n",
    ]
    print("\n".join(texts))
    for name, value in reached.items():
        sign = "at most" if name.endswith("mb") else "at least"
        print(f"{name}: {value:.1f} ({sign} {WANTED[name]:g} wanted)")
    results = {"head": head, "lift": lift, "tail": tails, "figures": figures, "load": load, "reached": reached}
    write("vla_speed", {**results, "wanted": WANTED}, quick=quick)
    publish("vla_speed", texts, quick=quick)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
