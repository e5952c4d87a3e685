"""``python -m bench.attacks``: every attack through every door, under every order of imports and every switch.

Each order and switch has a process of its own. The tables go to docs/hardening.md and all of it to bench/results.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

from bench.attacks.orders import ORDERS, SWITCHES
from bench.attacks.page import tables
from bench.measure import insert, write

ROOT = Path(__file__).parents[2]


def main(words: list[str] | None = None) -> int:
    """Try everything; the exit code is 1 where an attack had an effect."""
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the first order and switch alone; no page is written")
    options = parser.parse_args(words)
    worlds = [*product(ORDERS, SWITCHES)][: 1 if options.quick else None]
    results: list[dict[str, Any]] = []
    for order, switch in worlds:
        outcomes = _in_a_world(order, switch)
        faults = [o for o in outcomes if o[3] not in ("refused", "opened")]
        print(f"{order}, {switch}: {len(outcomes)} attempts, {len(faults)} with an effect", flush=True)
        for fault in faults:
            print("  ", " | ".join(map(str, fault))[:300], flush=True)
        results.append({"order": order, "switch": switch, "outcomes": outcomes})
    counts = [{**world, "outcomes": Counter(o[3] for o in world["outcomes"])} for world in results]
    write("attacks", {"worlds": counts, "outcomes": results[0]["outcomes"]}, quick=options.quick)
    if not options.quick:
        insert(ROOT / "docs/hardening.md", "attacks", tables(results))
    return int(any(o[3] not in ("refused", "opened") for world in results for o in world["outcomes"]))


def _in_a_world(order: str, switch: str) -> list[list[Any]]:
    """What came of every attack: name, kind, door, result, message, seconds."""
    kept = {name: value for name, value in os.environ.items() if not any(name in set_ for set_ in SWITCHES.values())}
    with tempfile.TemporaryDirectory(prefix="attacks-") as dpath:
        fpath = Path(dpath) / "results.json"
        env = kept | SWITCHES[switch] | {"ISOTHERM_HOME": dpath, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "bench.attacks.child", ",".join(ORDERS[order]), str(fpath)]
        subprocess.run(command, cwd=ROOT, env=env, check=True, stderr=subprocess.DEVNULL)
        outcomes: list[list[Any]] = json.loads(fpath.read_text())
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
