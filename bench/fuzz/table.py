"""The table of results: of every reader how many inputs, what came of them, the slowest and the largest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.fuzz.state import State
from isotherm.atomic import atomic_write


def write_table(state: State, fpath: Path) -> None:
    """Write the figures of all readers, whole or not at all.

    Args:
        state: what was done.
        fpath: of the JSON file.
    """
    rows = [row_of(kept) for _, kept in sorted(state.figures.items())]
    whole = {
        "inputs": sum(row["inputs"] for row in rows),
        "read": sum(row["read"] for row in rows),
        "refused": sum(row["refused"] for row in rows),
        "faults": sum(row["faults"] for row in rows),
        "slowest_s": max((row["slowest_s"] for row in rows), default=0.0),
        "largest_mb": max((row["largest_mb"] for row in rows), default=0.0),
        "readers": rows,
    }
    with atomic_write(fpath) as file:
        file.write((json.dumps(whole, indent=1) + "\n").encode())


def row_of(kept: dict[str, Any]) -> dict[str, Any]:
    """The figures of one reader as the table has them."""
    return {
        "reader": kept["name"],
        "inputs": kept["inputs"],
        "read": kept["read"],
        "refused": kept["refused"],
        "faults": kept["inputs"] - kept["read"] - kept["refused"],
        "places": sum(site.startswith("refused") for site in kept["sites"]),
        "slowest_s": round(kept["slowest_s"], 2),
        "largest_mb": round(kept["largest_bytes"] / 1e6),
    }
