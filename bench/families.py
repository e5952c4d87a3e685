"""One model of every family with seeded weights: is it opened, is its layer right, or is it refused and why?

A textured square is moved over a picture to nine places; a family works where the cell of the chosen layer that changes
most lies no more than a cell beyond the square, at every place and in every chosen layer, and a map is made.

What a deep network with random weights answers may fade, spread or walk before its end whatever is known of its layers, so
a family is called wrong where it does not follow by any of :data:`TRIES`; a layout that is wrong follows by none, since
nine places are not met by chance. The rows are kept one by one in ``results/families.json``: what is there is skipped unless ``--again`` is given, with a family's name
for that one alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.families_timm import make_timm, timm_families  # noqa: E402
from bench.following import PICTURE, concentrate, follow, seen_of, settle, squares  # noqa: E402
from bench.measure import RESULTS, insert, table, threads, write  # noqa: E402

PAGE = ROOT / "docs" / "families.md"
COLUMNS = ["family", "model", "million weights", "result", "layer", "cells", "at worst", "tries", "remark"]

Case = tuple[str, str, str, Callable[[int], Any]]
"""(package, family, model's name, what opens a view of it with the weights of a seed)."""
TRIES = ((0, False, False), (0, False, True), (0, True, True), (1, True, True), (2, True, True), (3, True, True))
"""(seed of the weights, whether kernels weigh their middle most, whether batch norms then take the statistics of such
pictures).
"""


def cases() -> Iterator[Case]:
    """Every family of every package."""
    for family, (name, options) in timm_families().items():
        yield "timm", family, _titled(name, options), partial(_timm_view, name, options)
    from bench.families_detectors import detectors

    yield from detectors()


def _titled(name: str, options: Mapping[str, Any]) -> str:
    return name + (f" ({', '.join(f'{k} {v}' for k, v in options.items())})" if options else "")


def _timm_view(name: str, options: dict[str, Any], seed: int) -> Any:
    import isotherm

    return isotherm.open_model(make_timm(name, options, seed))


def judged(make: Callable[[int], Any]) -> dict[str, Any]:
    """The row of one model: what came of the first of the tries that is not wrong, or of the last."""
    row: dict[str, Any] = {}
    for number, (seed, concentrated, settled) in enumerate(TRIES, 1):
        row = {**_tried(make, seed, concentrated, settled), "tries": number}
        if row["result"] != "wrong":
            break
    return row


def _tried(make: Callable[[int], Any], seed: int, concentrated: bool, settled: bool) -> dict[str, Any]:
    """The layer that went astray most, or why the model was refused."""
    from isotherm import explain
    from isotherm.errors import IsothermError

    row: dict[str, Any] = {"weights": None}
    try:
        view = make(seed)
        row["weights"] = sum(p.numel() for p in view.model.parameters()) / 1e6
        if concentrated:
            concentrate(view)
        if settled:
            settle(view)
        choice = view.auto_layers()
        row |= {"layer": ", ".join(choice.layers), "reason": choice.reason}
        seen = seen_of(view.prepare([np.zeros((*PICTURE, 3), np.uint8)]).frame[0])
        maps = explain(view, squares(PICTURE, seen)[0][1], trust="off")
        if not len(maps) or not all(bool(np.isfinite(np.asarray(m.values)).all()) for m in maps):
            return row | {"result": "wrong", "why": "no map was made" if not len(maps) else "a map is not finite"}
        found = follow(view)
    except IsothermError as error:
        return row | {"result": "refused", "why": str(error)}
    except Exception as error:
        return row | {"result": "wrong", "why": f"{type(error).__name__}: {error}"}
    worst = max(found, key=lambda one: one.beyond)
    return row | {
        "result": "worked" if worst.follows else "wrong",
        "grid": " ".join(f"{one.grid[0]}x{one.grid[1]}" for one in found),
        "beyond": round(worst.beyond, 2),
        "why": "" if worst.follows else f"the strongest cell of {worst.layer} does not follow the square",
    }


def kept() -> dict[str, dict[str, Any]]:
    """Rows of earlier runs, by package and family."""
    fpath = RESULTS / "families.json"
    return json.loads(fpath.read_text())["rows"] if fpath.exists() else {}


def main(quick: bool = False) -> None:
    threads(1)
    wanted = [a for a in sys.argv[1:] if not a.startswith("-") and a != "families"]
    rows = kept()
    order = []
    for package, family, name, make in cases():
        key = f"{package} {family}"
        order.append(key)
        if (key in rows and "--again" not in sys.argv) or (wanted and family not in wanted and key not in wanted):
            continue
        began = time.process_time()
        row = {"model": name, **judged(make)}
        rows = kept() | {key: row}  # what another process has judged meanwhile stays
        print(
            key,
            rows[key]["result"],
            rows[key].get("beyond"),
            rows[key]["why"],
            f"{time.process_time() - began:.0f} s",
            flush=True,
        )
        write("families", {"rows": {k: rows[k] for k in [*order, *rows] if k in rows}}, quick=quick)
        if quick and len(order) > 3:
            return
    if not quick:
        insert(PAGE, "families", tables({k: rows[k] for k in order if k in rows}))


def tables(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The page's tables, one for each package, with how many worked, were refused and were wrong."""
    texts = []
    for package in dict.fromkeys(key.split(" ")[0] for key in rows):
        of_package = {key: row for key, row in rows.items() if key.split(" ")[0] == package}
        counts = [
            sum(row["result"] == result for row in of_package.values()) for result in ("worked", "refused", "wrong")
        ]
        title = f"{package}: {counts[0]} worked, {counts[1]} refused, {counts[2]} wrong"
        texts.append(table(title, COLUMNS, [_line(key.partition(" ")[2], row) for key, row in of_package.items()]))
    return "\n".join(texts)


def _line(family: str, row: Mapping[str, Any]) -> list[Any]:
    early = "CAUTION: it is an early layer" in row.get("reason", "")
    remark = row["why"].replace("|", "\\|") or ("an early layer, which is said" if early else "")
    weights = "" if row["weights"] is None else f"{row['weights']:.3g}"
    beyond = row.get("beyond")
    layer = row.get("layer", "")
    return [
        family,
        row["model"],
        weights,
        row["result"],
        f"`{layer}`" if layer else "",
        row.get("grid", ""),
        "" if beyond is None else f"{beyond:+.1f}",
        row["tries"],
        remark,
    ]


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
