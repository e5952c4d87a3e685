"""Measuring side by side: interleaved repeats, medians, peak memory, and the machine written beside the figures."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "isotherm",
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "ultralytics-opencv-headless",
    "grad-cam",
    "captum",
    "kornia",
)


def threads(count: int = 2) -> int:
    """Fix the number of threads of torch and of what it calls; returns it."""
    import torch

    torch.set_num_threads(count)
    return count


def machine() -> dict[str, Any]:
    """The machine and the versions that a figure belongs to."""
    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line), cpu
        )
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "not measured on a GPU",
        "python": platform.python_version(),
        "versions": versions,
    }


def processor_seconds(jobs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median processor seconds of each job of one thread, which other work on the machine hardly changes; the jobs take
    turns, and the first turn does not count.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats + 1):
        for name, job in jobs.items():
            began = time.process_time()
            job()
            if turn:
                times[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def interleaved(
    jobs: Mapping[str, Callable[[], Any]],
    *,
    repeats: int,
    warmup: int = 1,
    settle: int = 0,
    wait: Callable[[], Any] = lambda: None,
) -> dict[str, float]:
    """Median seconds of each job. The jobs take turns, so a slow minute of the machine falls on all of them.

    wait: returns when all that a job began is done; on a GPU ``torch.cuda.synchronize``, since a call there returns before.

    settle: runs of a job before the one that counts, in every turn. Jobs of milliseconds are else timed in the memory that
    their neighbour left, which says more about the allocator than about them.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(warmup + repeats):
        for name, job in jobs.items():
            for _ in range(settle):
                job()
            wait()
            start = time.perf_counter()
            job()
            wait()
            if turn >= warmup:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_rss_mb() -> float:
    """Peak resident memory of this process so far, MB; on Linux its own, where getrusage counts what it was forked from."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_growth_mb(job: Callable[[], Any]) -> float:
    """How far resident memory rises above what is held before a job, at its highest; Linux's /proc is asked, MB."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = rss_mb()
    job()
    return peak_rss_mb() - before


def rss_mb() -> float:
    """Resident memory of this process now, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def in_fresh_process(code: str) -> dict[str, Any]:
    """Run Python code that prints one JSON line last, in a process of its own, so that peak memory is its own."""
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    return json.loads(out.stdout.strip().splitlines()[-1])


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; floats with three significant digits."""

    def cell(v: Any) -> str:
        return f"{v:.3g}" if isinstance(v, float) else str(v)

    lines = [f"### {title}", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows]) + "\n"


def write(name: str, results: Mapping[str, Any], *, quick: bool) -> Path:
    """``results/<name>.json`` with the machine; a quick run only prints, so that it never replaces a full one."""
    fpath = RESULTS / f"{name}.json"
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        fpath.write_text(json.dumps({"machine": machine(), **results}, indent=1) + "\n")
    return fpath


def insert(page: Path, name: str, text: str) -> None:
    """Put a table between a page's markers of that name; figures in the documentation are never typed."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, _, rest = page.read_text().partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{page} has no markers {start} and {end}")
    page.write_text(f"{before}{start}\n{text}\n{end}{after}")


def publish(name: str, texts: Sequence[str], *, quick: bool) -> None:
    """A benchmark's tables into docs/speed.md; a quick run only printed them."""
    if not quick:
        insert(Path(__file__).parents[1] / "docs" / "speed.md", name, "\n".join(texts))
