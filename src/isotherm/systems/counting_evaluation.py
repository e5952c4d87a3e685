"""How well a model counts: the error over a set of pictures, one line on disk for each as soon as it is done, so that a
run that was stopped goes on.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from isotherm.atomic import atomic_write
from isotherm.data.fsc147 import CountedPicture
from isotherm.data.pictures import read_picture
from isotherm.errors import OptionError
from isotherm.ops.hashing import state_hash
from isotherm.ops.visible import readable_json
from isotherm.progress import Progress, Say, silent
from isotherm.runs.file import to_json
from isotherm.systems.counting_config import CountingConfig
from isotherm.systems.counting_kinds import kind_counts, kind_shares, kinds_of, objects_with_dots
from isotherm.systems.vlm_counting import count
from isotherm.train.run_folder import RunFolder
from isotherm.untrusted.plain import json_of, reading
from isotherm.vlm.view import LanguageView

FORMAT = "isotherm.counting_evaluation/1"
LINES, RESULTS = "pictures.jsonl", "results.json"
RANGES = ((0, 10), (11, 30), (31, 100), (101, 300), (301, None))
"""Of true counts, from and to."""
CHANGED = "the file was changed by something else: take the line out to count its picture again"


def evaluate_counting(
    view: LanguageView,
    pictures: Sequence[CountedPicture],
    dpath: str | os.PathLike[str],
    *,
    strategy: str = "hybrid",
    config: CountingConfig | None = None,
    data: str = "",
    command: str = "",
    say: Say = silent,
) -> dict[str, Any]:
    """Count in every picture and judge the counts; pictures that the folder has already are not asked about again.

    Args:
        dpath: holds ``recipe.json``, ``pictures.jsonl`` (a line for each picture), and at the end ``results.json``; a
            folder of another recipe is refused.
        data: which pictures, such as ``fsc147 test``; part of the recipe.
        command: written down with the results.
        say: is told how far it is.

    Returns:
        What ``results.json`` holds: see :func:`summarised`.

    Raises:
        OptionError: no pictures, or a folder of another recipe.
        InputError: a picture cannot be read; what is finished is kept.
    """
    config = (config or CountingConfig()).worded(view)
    if not pictures:
        raise OptionError("there are no pictures to judge by")
    if strategy not in ("global", "dense", "hybrid"):
        raise OptionError(f"the strategy {strategy} needs crops of each picture; judge global, dense or hybrid")
    recipe = {
        "evaluation": FORMAT,
        "model": view.name,
        "weights": state_hash(view.model),
        "strategy": strategy,
        "config": asdict(config),
        "data": data,
    }
    folder = RunFolder(dpath, recipe)
    fpath = folder.dpath / LINES
    done = {row["name"]: row for row in read_rows(fpath)}
    if done:
        say(f"{len(done)} picture(s) are done already; going on with the others")
    with folder.started("eval", command=command, model=view.name, data=data):
        for i, one in enumerate(pictures):
            if one.name not in done:
                start = time.monotonic()
                picture = read_picture(one.fpath).array
                result = count(view, picture, one.category, strategy=strategy, config=config)
                on = objects_with_dots(result.dots.xy.double().numpy(), one)
                done[one.name] = {
                    "name": one.name,
                    "category": one.category,
                    "true": one.count,
                    "count": result.count,
                    "exact": result.exact,
                    "unplaced": result.unplaced,
                    "dots": len(result.dots.xy),
                    "hits": int(on.sum()),
                    "kinds": kind_counts(kinds_of(one, (int(picture.shape[0]), int(picture.shape[1]))), on),
                    "seconds": round(time.monotonic() - start, 3),
                    "views": [
                        {"name": k.view.name, "answer": k.answer, "count": c, "expected": k.expected}
                        for k, c in zip(result.looks, result.counts, strict=True)
                    ],
                }
                append_row(fpath, done[one.name])
            error = _mean_error([done[p.name] for p in pictures[: i + 1]])
            say(Progress(step=i + 1, total=len(pictures), text=f"mean error {error:.2f}", stage="counting"))
        rows = [done[p.name] for p in pictures]
        rest = {k: v for k, v in recipe.items() if k != "evaluation"}
        results: dict[str, Any] = to_json({"format": FORMAT, **rest, "command": command, **summarised(rows)})
        with atomic_write(folder.dpath / RESULTS) as file:
            file.write(json.dumps(to_json(results), indent=1, allow_nan=False).encode())
    return results


def summarised(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of some pictures, and of those in each of :data:`RANGES` of the true count.

    ``mae`` and ``rmse``: of all pictures; one without a count counts as 0, so that a model gains nothing by refusing.
    ``uncounted``: how many those are. ``bias``: mean of counted - true. ``exact``: share of pictures whose count is
    right. ``dot_recall``: share of the objects that have a dot on them, ``dot_precision``: share of the dots that are
    on an object; on: within half of the exemplars' mean longer side, one to one. ``kinds``: see
    :func:`isotherm.systems.counting_kinds.kinds_of`.

    Example:
        >>> rows = [{"true": 3, "count": 4, "dots": 4, "hits": 3}, {"true": 40, "count": None, "dots": 0, "hits": 0}]
        >>> found = summarised(rows)
        >>> found["mae"], found["uncounted"], found["ranges"]["0-10"]["mae"]
        (20.5, 1, 1.0)
    """
    ranges = {}
    for low, high in RANGES:
        part = [row for row in rows if low <= row["true"] and (high is None or row["true"] <= high)]
        if part:
            ranges[f"{low}-{high}" if high is not None else f"{low} and more"] = _figures(part)
    return {**_figures(rows), "ranges": ranges, "kinds": kind_shares(rows)}


def _figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    errors = _errors(rows)
    true, dots, hits = (sum(row[key] for row in rows) for key in ("true", "dots", "hits"))
    return {
        "pictures": len(rows),
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "bias": float(errors.mean()),
        "exact": float(np.mean([row["count"] == row["true"] for row in rows])),
        "uncounted": sum(row["count"] is None for row in rows),
        "dot_recall": hits / true if true else None,
        "dot_precision": hits / dots if dots else None,
    }


def _errors(rows: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, " n"]:
    return np.array([(row["count"] or 0) - row["true"] for row in rows], np.float64)


def _mean_error(rows: Sequence[Mapping[str, Any]]) -> float:
    return float(np.abs(_errors(rows)).mean())


def dots_on_points(dots: Float[np.ndarray, "k 2"], one: CountedPicture) -> int:
    """How many dots lie on objects, one to one: no further from an object's point than half of the exemplars' mean
    longer side.
    """
    return int(objects_with_dots(dots, one).sum())


def read_rows(fpath: Path) -> list[dict[str, Any]]:
    """The lines so far; a last one that was cut short is left out, and its picture is counted again.

    Raises:
        InputError: another line is no JSON.
    """
    if not fpath.is_file():
        return []
    *lines, last = fpath.read_bytes().split(b"\n")
    rows = []
    for i, line in enumerate(lines, 1):
        row = json_of(line, f"{fpath}:{i}", advice=CHANGED)
        with reading(f"{fpath}:{i}", advice=CHANGED):
            rows.append(_checked(row))
    if last:
        with fpath.open("r+b") as file:  # a line that follows it must begin at a line's start
            file.truncate(sum(len(line) + 1 for line in lines))
    return rows


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """The line, if it has what is made of it."""
    if not isinstance(row["name"], str):
        raise TypeError(f"name is {row['name']!r:.40}")
    for name in ("true", "dots", "hits", "count"):
        number = row[name]
        if (number is not None or name != "count") and not (type(number) in (int, float) and abs(number) < 1e9):
            raise ValueError(f"{name} is {number!r:.40}")
    kinds = row.get("kinds", {})
    if not all(len(pair) == 2 and all(type(n) is int for n in pair) for pair in kinds.values()):
        raise ValueError(f"kinds are {kinds!r:.60}")
    return row


def append_row(fpath: Path, row: Mapping[str, Any]) -> None:
    """One more line, on disk when this returns."""
    assert all(not isinstance(v, float) or math.isfinite(v) for v in row.values())
    data = readable_json(to_json(row)) + b"\n"
    with fpath.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
