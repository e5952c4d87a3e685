"""On a CUDA GPU: explanations beside the passes that they are made of and beside their peers, verdicts, losses, decoders, answers.

Every call is waited for. Peak memory is what torch's allocator holds at most beyond the model and its inputs. Where there is
no GPU it says so and keeps the figures that are there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.measure import interleaved, machine, publish, table, write  # noqa: E402

Jobs = Mapping[str, Callable[[], Any]]


LONGEST = 20.0
"""Seconds that the turns of a table may take together; jobs so slow that they need more have fewer turns, three at least."""


def timed(jobs: Jobs, repeats: int) -> tuple[dict[str, float], int]:
    """Median seconds of each job, waited for, and over how many turns."""
    started = time.perf_counter()
    interleaved(jobs, repeats=1, warmup=1, wait=torch.cuda.synchronize)
    turn = (time.perf_counter() - started) / 2
    turns = min(repeats, max(3, int(LONGEST / turn)))
    return interleaved(jobs, repeats=turns, warmup=0, wait=torch.cuda.synchronize), turns


def peak_mb(job: Callable[[], Any]) -> float:
    """What a job needs beyond what is held before, at its highest."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    job()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def against(jobs: Jobs, unit: str, repeats: int, title: str) -> tuple[str, dict[str, Any]]:
    """A table of jobs with their ratio to one of them, and the figures."""
    seconds, turns = timed(jobs, repeats)
    rows = [[name, 1e3 * s, s / seconds[unit], peak_mb(jobs[name])] for name, s in seconds.items()]
    columns = ["job", "ms", f"/ {unit}", "peak, MB"]
    figures: dict[str, Any] = {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in rows}
    return table(f"{title} (medians of {turns} turns)", columns, rows), {"turns": turns, **figures}


def verdict_jobs(device: str) -> Jobs:
    """One photograph-sized picture through ResNet-50: without, with the fast and with the full verdict."""
    import isotherm

    view = isotherm.open_model("torchvision:resnet50", weights="none", seed=0, device=device)
    picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)

    def explained(level: str) -> Callable[[], Any]:
        return lambda: list(isotherm.explain(view, picture, method="gradcam", trust=level).trust)

    return {
        "explained": explained("off"),
        "with the fast verdict": explained("fast"),
        "with the full": explained("full"),
    }


def decoder_jobs(device: str) -> Jobs:
    """Every decoder on 64 x 17 maps of 64 x 48."""
    from isotherm import decode

    maps = torch.rand(64, 17, 64, 48, generator=torch.Generator().manual_seed(0)).to(device)
    jobs: dict[str, Callable[[], Any]] = {"copy": maps.clone}
    for name in ("argmax", "dark", "soft_argmax"):
        jobs[name] = partial(getattr(decode, name), maps)
    for name in ("moment_inverse", "least_squares"):
        jobs[name] = partial(getattr(decode, name), maps, sigma_cells=2.0)
    return jobs


def main(quick: bool = False) -> None:
    """Print the tables and, unless quick, write results/gpu.json and docs/speed.md."""
    if not torch.cuda.is_available():
        print("there is no CUDA GPU here; bench/results/gpu.json keeps the figures of the last one")
        return
    from bench.explain import gradient_jobs
    from bench.losses import jobs as loss_jobs

    repeats, size = (2, 96) if quick else (11, 224)
    parts: list[tuple[str, Jobs, str]] = [
        (f"ResNet-50, {size} px, batch {batch}", gradient_jobs(batch, size, "cuda"), "FB")
        for batch in ((2,) if quick else (1, 16, 64))
    ]
    for shape in ((8, 3, 32, 32),) if quick else ((64, 17, 64, 48), (256, 17, 64, 48), (8, 3, 224, 224)):
        title = f"Loss, forward and backward, {' x '.join(map(str, shape))}"
        parts.append((title, loss_jobs(shape, "cuda"), "floor: copy"))
    parts.append(("Decoders, 64 x 17 maps of 64 x 48", decoder_jobs("cuda"), "copy"))
    verdicts = ("ResNet-50, one picture of 480 x 640, verdicts", verdict_jobs("cuda"), "explained")
    optional: list[Callable[[], tuple[str, Jobs, str]]] = [
        lambda: _yolo(quick),
        lambda: _answers(quick),
        lambda: verdicts,
    ]
    texts, results, left_out = [], {}, {}
    for make in [*(lambda part=part: part for part in parts), *optional]:
        try:
            title, jobs, unit = make()
        except ImportError as error:  # a package that this machine lacks; the table says which
            left_out[str(error)] = "left out"
            continue
        text, figures = against(jobs, unit, repeats, title)
        texts.append(text)
        results[title] = figures
        print(text, flush=True)
        write("gpu", {"results": results, "left_out": left_out}, quick=quick)  # a machine may be lent for minutes
        publish("gpu", [_heading(), *texts], quick=quick)


def _heading() -> str:
    facts = machine()
    version = facts["versions"].get("torch", torch.__version__)
    return f"{facts['gpu']}, torch {version}, TF32 as torch has it by default.\n"


def _yolo(quick: bool) -> tuple[str, Jobs, str]:
    from bench.yolo import yolo_jobs

    side = 256 if quick else 640
    jobs, _, count = yolo_jobs("yolo11s-seg.yaml", side, "cuda")
    return f"yolo11s-seg, {side} x {side}, {count} findings", jobs, "FB"


def _answers(quick: bool) -> tuple[str, Jobs, str]:
    from bench.vlm_cost import make_jobs, make_view

    view = make_view(quick=quick, device="cuda", dtype=torch.bfloat16)
    return "Random Qwen3-VL of 12 + 12 layers, 864 patches, bfloat16", make_jobs(view), "forward, no gradients"


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
