"""``python -m bench.attacks.child MODULES RESULTS [NAMES]``: import some modules in their order, and try attacks, all of
them unless some are named.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path


def main(modules: str, fpath: str, *names: str) -> None:
    for name in filter(None, modules.split(",")):
        importlib.import_module(name)
    from bench.attacks.registry import ATTACKS
    from bench.attacks.trial import tried, warm

    results = []
    with tempfile.TemporaryDirectory(prefix="attacks-") as dpath:
        warm(Path(dpath) / "warm")
        for attack in (attack for attack in ATTACKS if not names or attack.name in names):
            for door in attack.doors:
                outcome = tried(attack, door, Path(dpath) / "trial")
                results.append([attack.name, attack.kind, door, outcome.result, outcome.message, outcome.seconds])
    Path(fpath).write_text(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
