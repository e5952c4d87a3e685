"""Which way of counting is right most often? Generated pictures of 144 x 144 with 1 to 20 objects of the colour that is asked for, three training seeds.

The small models were taught on pictures of 48 x 48 with at most five of a colour, so they cannot count a whole picture; a real model with its limit at larger numbers is in the same place
on FSC-147. Each strategy sees the same pictures. Runs are kept in bench/.work and go on where they were stopped.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import insert, table, threads, write

PAGE = Path(__file__).parents[1] / "docs" / "counting.md"
WORK = Path(__file__).parent / ".work" / "counting"
SEEDS = (0, 1, 2)
PICTURES = 60
FIGURES = ("mae", "rmse", "bias", "exact", "dot_precision", "dot_recall")


@dataclass(frozen=True)
class Way:
    """A row of the table."""

    name: str
    strategy: str
    views: int
    options: dict[str, Any] = field(default_factory=dict)


WAYS = (
    Way("`global`", "global", 1),
    Way("`hybrid`", "hybrid", 5),
    Way("`dense`, 3x3, overlap 0.2", "dense", 9),
    Way("the same, crops scaled to 48 pixels", "dense", 9, {"crop_side": 48}),
    Way("`dense`, 3x3, overlap 0", "dense", 9, {"overlap": 0.0}),
    Way("the same, maps by `attention_gradient`", "dense", 9, {"overlap": 0.0, "method": "attention_gradient"}),
)


def judged(seed: int, way: Way, count: int) -> dict[str, Any]:
    """One model's figures for one way."""
    from isotherm.data.fsc147 import read_fsc147
    from isotherm.systems.counting_config import CountingConfig
    from isotherm.systems.counting_evaluation import evaluate_counting
    from isotherm.zoo.tiny_vlm.view import load

    run = WORK / f"{count}-{seed}-{WAYS.index(way)}"
    run.mkdir(parents=True, exist_ok=True)
    found = evaluate_counting(
        load(f"tiny-vlm-{seed}"),
        read_fsc147(WORK / f"pictures-{count}", "test"),
        run,
        strategy=way.strategy,
        config=CountingConfig(**way.options),
        data=f"generated {count}",
    )
    return {f: found[f] for f in FIGURES}


def main(*, quick: bool = False) -> None:
    threads(1)
    seeds, count = (SEEDS[:1], 4) if quick else (SEEDS, PICTURES)
    from isotherm.data.fsc147 import write_generated_fsc147

    write_generated_fsc147(WORK / f"pictures-{count}", count=2 * count)  # half of them are the split test
    tasks = [(seed, way, count) for way in WAYS for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(2, initializer=threads, initargs=(1,)) as pool:
        every = pool.starmap(judged, tasks, chunksize=1)
    found = {way.name: [one for (_, w, _), one in zip(tasks, every, strict=True) if w == way] for way in WAYS}

    def cell(values: list[float], *, share: bool, sign: bool) -> str:
        mean, spread = statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
        return (
            f"{100 * mean:.0f} ± {100 * spread:.0f} %" if share else f"{mean:{'+' if sign else ''}.2f} ± {spread:.2f}"
        )

    rows = [
        [
            way.name,
            *(cell([one[f] for one in found[way.name]], share=f in FIGURES[3:], sign=f == "bias") for f in FIGURES),
            str(way.views),
        ]
        for way in WAYS
    ]
    text = table(
        f"{count} generated pictures, {len(seeds)} training seeds",
        ["", "MAE", "RMSE", "bias", "right", "dots on objects", "objects with a dot", "questions"],
        rows,
    )
    print(text)
    write("counting", {"ways": found, "pictures": count, "seeds": list(seeds)}, quick=quick)
    if not quick:
        insert(PAGE, "counting", text)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
