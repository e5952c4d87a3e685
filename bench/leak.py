"""What clips of the published protocol show of the actions that they are to predict, on the tables of EPIC-KITCHENS-100.

The tables are read as they are published, from a folder that the environment's EPIC_KITCHENS names: EPIC_100_validation.csv and
EPIC_100_video_info.csv of epic-kitchens/epic-kitchens-100-annotations. They are not kept here; the result says by their hashes which they were.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.measure import insert, table, write
from isotherm.data.anticipation.anchors import ClipPlan
from isotherm.data.anticipation.leak import FrameClock, Leak, frame_clocks, leak, legacy_rate_hz
from isotherm.data.anticipation.read import read_actions
from isotherm.ops.hashing import sha256_of

PAGE = Path(__file__).parents[1] / "docs" / "anticipation.md"
TABLES = ("EPIC_100_validation.csv", "EPIC_100_video_info.csv")
PLANS = {
    "`legacy`, 1 s before the action's end": ClipPlan(protocol="legacy"),
    "`start`, 1 s before its start": ClipPlan(),
    "`start`, 0.25 to 1.75 s before it": ClipPlan(anticipation_s=(0.25, 1.75)),
}

CLOCK_COLUMNS = (
    "frames a second of the video",
    "videos",
    "numbers a second",
    "at most apart",
    "a second of `legacy`, for 8",
)


def row(name: str, found: Leak) -> list[Any]:
    late, showing = (f"{n:,} ({n / found.clips:.1%})" for n in (found.late, found.showing))
    return [name, f"{found.clips:,}", found.without, late, showing, f"{found.frames:.0%}", f"{found.action:.0%}"]


def clock_rows(clocks: tuple[FrameClock, ...]) -> list[list[Any]]:
    """A row for every rate that videos have."""
    rows = []
    for rate in sorted({clock.rate_hz for clock in clocks}):
        of = [clock for clock in clocks if clock.rate_hz == rate]
        counted = f"{statistics.median(clock.counted_hz for clock in of):.2f}"
        apart = f"{max(clock.apart_s for clock in of):.2f} s"
        rows.append([f"{rate:.2f}", len(of), counted, apart, f"{legacy_rate_hz(rate, 8):.2f}"])
    return rows


def main(*, quick: bool) -> None:
    folder = os.environ.get("EPIC_KITCHENS")
    if not folder:
        print("EPIC_KITCHENS names no folder with EPIC_100_validation.csv and EPIC_100_video_info.csv: not measured")
        return
    actions = read_actions(Path(folder) / TABLES[0])
    found = {name: leak(actions, plan) for name, plan in PLANS.items()}
    clocks = frame_clocks(actions)
    columns = [
        "",
        "clips",
        "actions without one",
        "end after the action has begun",
        "show a frame of it",
        "of their frames",
        "of the action passed",
    ]
    shown = table("What clips show", columns, [row(name, of) for name, of in found.items()])
    rates = table("What frame numbers count", CLOCK_COLUMNS, clock_rows(clocks))
    print(f"{shown}\n{rates}")
    results = {
        "tables": {name: sha256_of(Path(folder) / name) for name in TABLES},
        "actions": len(actions),
        "leak": {name: asdict(of) for name, of in found.items()},
        "clocks": [dict(zip(CLOCK_COLUMNS, of, strict=True)) for of in clock_rows(clocks)],
    }
    write("leak", results, quick=quick)
    if not quick:
        for name, text in (("leak", shown), ("frame-clocks", rates)):
            insert(PAGE, name, text.partition("\n\n")[2].rstrip())
