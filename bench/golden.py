"""The same answers as before a move, bit for bit: the cases of tests/golden, run on this code and on an earlier commit's.

``python -m bench golden`` checks the earlier commit out into a temporary folder and runs both on this machine, one thread each.
What differs on purpose stands in :data:`MEANT`, with the reason; everything else that differs is a fault.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.earlier import BEFORE, ROOT, earlier, environment_of
from bench.measure import table, write

MEANT: dict[str, str] = {
    "arrays/least_squares/noise": (
        "mean score 1.19 before, 0.15 now, and the places with it: NumPy arrays had an algorithm of their own, which fitted the whole "
        "map and scored by amplitude alone; they run that of tensors, which fits around the peak and counts what the fit explains"
    ),
    "arrays/argmax/noise/score": "up to 0.09 less: the score counts from the map's ground, so that a flat map has none",
    "arrays/moment_inverse/noise/score": "up to 0.09 less: the score counts from that of a flat map",
    "decoders/": "scores of noise alone, for the same reasons: up to 0.05 (argmax, dark), 0.09 (moment_inverse), 0.14 (least_squares) less",
    "arrays/": "up to 3e-14 of a pixel, where there was an algorithm of its own: NumPy arrays run that of tensors, in another order of sums",
}
"""Arrays, by the beginning of their names (the first that fits), that differ from before on purpose: before, now, and why."""


def answers_of(source: Path, fpath: Path) -> dict[str, np.ndarray]:
    """What the code in a folder answers."""
    environment = environment_of(source, ROOT / "tests")
    subprocess.run([sys.executable, "-m", "golden.cases", str(fpath)], check=True, env=environment, cwd=ROOT)
    with np.load(fpath) as file:
        return {name: file[name] for name in file.files}


def compared(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> list[list[Any]]:
    """Of every case: its name, how many arrays, how many are the same to the last bit, the largest difference, whether that is meant."""
    rows = []
    for case in dict.fromkeys(name.partition("/")[0] for name in before | after):
        names = [name for name in before | after if name.startswith(f"{case}/")]
        same = [
            name
            for name in names
            if name in before and name in after and before[name].tobytes() == after[name].tobytes()
        ]
        others = [name for name in names if name not in same]
        far = [_distance(before.get(name), after.get(name)) for name in others]
        reasons = {
            next((why for start, why in MEANT.items() if name.startswith(start)), "NOT MEANT") for name in others
        }
        rows.append([case, len(names), len(same), f"{max(far, default=0.0):.3g}", "; ".join(sorted(reasons))])
    return rows


def _distance(a: np.ndarray | None, b: np.ndarray | None) -> float:
    if a is None or b is None or a.shape != b.shape:
        return float("inf")
    return float(np.nanmax(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))


def main(quick: bool = False) -> None:
    with tempfile.TemporaryDirectory() as name, earlier() as source:
        before = answers_of(source, Path(name) / "before.npz")
        after = answers_of(ROOT / "src", Path(name) / "after.npz")
    rows = compared(before, after)
    columns = ["case", "arrays", "the same bits", "largest difference", "meant"]
    print(table(f"Answers beside those of {BEFORE[:7]}", columns, rows), flush=True)
    write("golden", {"before": BEFORE, "rows": [dict(zip(columns, row, strict=True)) for row in rows]}, quick=quick)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
