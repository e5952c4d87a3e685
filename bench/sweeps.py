"""Sweeps killed together with the Ray that they started, at random moments, and gone on with: what is lost, what is done twice.

A killed sweep is started again until it ends; every kill falls a random time after a training has begun.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import table, write

RECIPE = """
data:
  train: [{format: generated, count: 32, side: 64}]
  validation: [{format: generated, split: validation, count: 8, side: 64}]
  margin: 0.0
model: {widths: [8, 16], depth: 1, head_options: {widths: [8], groups: 4}}
training: {size: [64, 64], steps: 40, batch: 8, backbone_rate: 1.0, keep_every: 4, log_every: 4, schedule: {warm_up: 2}}
"""
SWEEP = """
recipe: toy.yaml
values: {training.objective.sigma: [1.0, 1.5, 2.0, 3.0]}
at_once: 2
"""
TRIALS, LONGEST_S = 4, 8.0
COMMAND = "import sys; from isotherm.cli import main; sys.exit(main(sys.argv[1:]))"


def main(quick: bool = False) -> None:
    """Print the table and, unless quick, write results/sweeps.json."""
    rows = [list(_sweep(seed, kills=1 if quick else 4)) for seed in range(1 if quick else 3)]
    columns = ["seed", "kills", "trials at the end", "finished trials trained again", "all judged"]
    print(table("Sweeps killed with their Ray", columns, rows), flush=True)
    write("sweeps", {"results": [dict(zip(columns, row, strict=True)) for row in rows]}, quick=quick)


def _sweep(seed: int, *, kills: int) -> tuple[int, int, int, int, bool]:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "toy.yaml").write_text(RECIPE)
        (folder / "sweep.yaml").write_text(SWEEP)
        done, again, killed = dict[Path, int](), 0, 0
        while True:
            process = _start(folder)
            if killed < kills:
                _wait_for_a_training(process, folder)
                time.sleep(rng.uniform(0, LONGEST_S))
            else:
                process.wait()
            ended = process.poll() is not None
            if not ended:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                killed += 1
            now = {f: f.with_name("model.safetensors").stat().st_mtime_ns for f in _judged(folder)}
            again += sum(now.get(f) != t for f, t in done.items())
            done = now
            if ended:
                report = (folder / "runs" / "sweep" / "report.html").read_text()
                return seed, killed, len(done), again, f"{TRIALS} trials ({TRIALS} finished)" in report


def _start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", COMMAND, "sweep", "sweep.yaml"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _judged(folder: Path) -> list[Path]:
    return sorted(folder.glob("runs/sweep/trials/*/evaluation.json"))


def _wait_for_a_training(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until a trial has written what it had not before."""
    before = _written(folder)
    while process.poll() is None and _written(folder) == before:
        time.sleep(0.05)


def _written(folder: Path) -> set[tuple[str, int]]:
    return {(str(f), f.stat().st_size) for f in folder.glob("runs/sweep/trials/*/metrics.csv")}


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
