"""Server, worker and all of a studio killed at random moments, again and again over one folder."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

from isotherm.studio.store.history import History
from rigs.studio_forks import Forks, know_facts
from rigs.studio_kills import Ledger, kill_while_it_writes, wrong_after
from rigs.studio_server import StudioProcess

LATE = 5
"""Each fifth kill comes while runs end; the others, soon after the first answer."""


def kill_often(folder: Path, *, kills: int, most_s: float = 3600.0) -> dict[str, Any]:
    """What was acknowledged before so many kills, and all that was wrong after any of them.

    Args:
        folder: of the studio.
        kills: how many.
        most_s: no further kill after so long; how many there were is in the result.
    """
    ledger, wrong, done = Ledger(), [], 0
    know_facts(folder)
    with closing(Forks()) as forks:
        studio, start = StudioProcess(folder, ["--no-example"], forks=forks), time.monotonic()
        for seed in range(kills):
            if time.monotonic() - start > most_s:
                break
            done += 1
            wrong += kill_while_it_writes(studio, ledger, seed=seed, late=seed % LATE == LATE - 1)
            studio = StudioProcess(folder, ["--no-example"], forks=forks)
            with studio.client() as client:
                wrong += wrong_after(client, ledger)
            print(f"{done} kills, {len(ledger.runs)} runs, {len(wrong)} faults", flush=True)
        studio.end()
    return {
        "kills": done,
        "seconds": time.monotonic() - start,
        "pictures_acknowledged": len(ledger.pictures),
        "runs_acknowledged": len(ledger.runs),
        "runs_finished_before_a_kill": sum(word == "finished" for word in ledger.runs.values()),
        "notes_acknowledged": len(ledger.notes),
        "runs_removed": len(ledger.removed),
        "wrong": wrong,
        "left_on_disk": left_over(folder / "studio"),
    }


def left_over(dpath: Path) -> list[str]:
    """What no row names and a sweep does not take away."""
    history = History(dpath)
    history.sweep(older_than_s=0.0)
    left = history.sweep(older_than_s=0.0)
    history.close()
    return left
