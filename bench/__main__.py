"""``python -m bench [--quick] [names]``: run the benchmarks and print one table each."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

SKIP = {
    "__init__",
    "__main__",
    "drawing_pictures",
    "earlier",
    "families_detectors",
    "families_timm",
    "following",
    "kept",
    "measure",
    "places_candidates",
    "places_judges",
    "places_same",
    "trust_cost",
    "trust_maps",
    "trust_models",
    "trust_others",
    "usual_script",
    "vla_arms",
    "vla_lift",
}


def main() -> None:
    quick = "--quick" in sys.argv
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    names = wanted or sorted(f.stem for f in Path(__file__).parent.glob("*.py") if f.stem not in SKIP)
    for name in names:
        print(f"\n## {name}", flush=True)
        importlib.import_module(f"bench.{name}").main(quick=quick)


if __name__ == "__main__":
    main()
