"""How long it takes to search a long history."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session

from isotherm.studio.store.blobs import new_id
from isotherm.studio.store.history import History
from isotherm.studio.store.query import Query
from isotherm.studio.store.tables import MapRow, RunRow, TagRow

MODELS = ("imagenet", "detector", "scenes", "tiny-vlm", "yolo11s-seg.pt")
LABELS = tuple(f"{kind} {i}" for kind in ("cat", "dog", "bus", "lamp", "cup") for i in range(200))
VERDICTS = ("believable", "doubtful", "do not trust")
RARE = "needle"


def fill(history: History, runs: int) -> None:
    """Take down so many finished runs of two maps each; a word of one in ten thousand is rare.

    Written in bulk, past the history's own functions, which sync the disk for each run.
    """
    rng = np.random.default_rng(0)
    for start in range(0, runs, 10_000):
        rows, maps, tags = [], [], []
        for i in range(start, min(start + 10_000, runs)):
            run_id, model = new_id(), MODELS[int(rng.integers(len(MODELS)))]
            labels = [LABELS[int(k)] for k in rng.integers(len(LABELS), size=2)]
            verdict = VERDICTS[int(rng.integers(3))]
            title = f"IMG_{i:06}.jpg" + (f" {RARE}" if i % 10_000 == 0 else "")
            note = "look at the ear again" if i % 100 == 0 else ""
            words = "\n".join(filter(None, [title.lower(), model, note, *labels]))
            rows.append(
                {
                    "id": run_id,
                    "key": str(i),
                    "job": "explain",
                    "status": "finished",
                    "created_s": 1.7e9 + i,
                    "ended_s": 1.7e9 + i + 1,
                    "title": title,
                    "model": model,
                    "options": {"model": model, "top": 2},
                    "command": f"isotherm explain {title} --model {model} --top 2",
                    "words": words,
                    "verdicts": f",{verdict},",
                    "star": i % 50 == 0,
                    "note": note,
                    "message": "",
                    "size_bytes": 100_000,
                }
            )
            maps += [
                {
                    "run_id": run_id,
                    "position": k,
                    "picture": title,
                    "label": label,
                    "method": "GradCAM",
                    "layers": "layer4",
                    "verdict": verdict,
                    "statistics": {"max": 1.0, "entropy_nats": 3.2},
                }
                for k, label in enumerate(labels)
            ]
            if i % 20 == 0:
                tags.append({"run_id": run_id, "name": f"tag {i % 7}"})
        with Session(history._engine) as session, session.begin():
            for table, values in ((RunRow, rows), (MapRow, maps), (TagRow, tags)):
                session.execute(insert(table), values)
    with history._engine.connect() as connection:
        if connection.dialect.name == "postgresql":  # which does it by itself within a minute
            connection.exec_driver_sql("ANALYZE")
            connection.commit()


def searches(history: History) -> dict[str, Callable[[], Any]]:
    """What people search for, by what it is called in the table."""
    page = history.search(Query(limit=50))
    return {
        "newest page": lambda: history.search(Query(limit=50)),
        "a page in the middle": lambda: history.search(Query(limit=50, after=(1.7e9 + 50_000.0, "f" * 32))),
        "a rare word": lambda: history.search(Query(words=RARE, limit=50)),
        "a frequent word": lambda: history.search(Query(words="cat", limit=50)),
        "a word that there is not": lambda: history.search(Query(words="unicorn", limit=50)),
        "two words": lambda: history.search(Query(words="ear dog", limit=50)),
        "model and verdict": lambda: history.search(Query(model="detector", verdict="doubtful", limit=50)),
        "class": lambda: history.search(Query(label="lamp 7", limit=50)),
        "tag": lambda: history.search(Query(tag="tag 3", limit=50)),
        "stars of a day": lambda: history.search(
            Query(starred=True, since_s=1.7e9 + 10_000, until_s=1.7e9 + 96_400, limit=50)
        ),
        "oldest first": lambda: history.search(Query(order="oldest", limit=50)),
        "one run": lambda: history.run(page.runs[0].id),
        "the same request": lambda: history.same("77"),
        "choices": history.choices,
    }


def times_ms(folder: Path, *, runs: int, repeats: int, url: str | None = None) -> dict[str, dict[str, float]]:
    """Median and longest time of each search over a history of so many runs, ms.

    Args:
        folder: of the studio.
        url: of an empty PostgreSQL; None: SQLite.
    """
    history = History(folder / "searched", url=url)
    fill(history, runs)
    result = {}
    for name, job in searches(history).items():
        job()
        taken = []
        for _ in range(repeats):
            start = time.perf_counter()
            job()
            taken.append(1000 * (time.perf_counter() - start))
        result[name] = {"median_ms": statistics.median(taken), "longest_ms": max(taken)}
    history.close()
    return result
