"""``python -m bench.fuzz.page``: the tables of docs/limits.md, from isotherm's limits and from what the fuzzer has written."""

from __future__ import annotations

import ast
import itertools
import json
from pathlib import Path
from typing import Any

from isotherm import limits

ROOT = Path(__file__).parents[2]
PAGE, RESULTS = ROOT / "docs/limits.md", ROOT / "bench/results/fuzz.json"


def limits_table() -> str:
    """Every limit with what it is of, as the module says it."""
    body = ast.parse(Path(limits.__file__).read_text()).body
    rows = ["| limit | at most | of |", "|---|---|---|"]
    for statement, words in itertools.pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(words, ast.Expr) and isinstance(words.value, ast.Constant):
            name = ast.unparse(statement.targets[0])
            said = " ".join(str(words.value.value).replace(":data:", "").split())
            rows.append(f"| `{name}` | {getattr(limits, name):,} | {said} |")
    return "\n".join(rows)


def fuzz_table(results: dict[str, Any]) -> str:
    """What came of the inputs of every reader.

    Args:
        results: as :mod:`bench.fuzz.table` writes them.
    """
    rows = [
        "| reader | inputs | read | refused | places of refusal | slowest, s | largest, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results["readers"]:
        rows.append(
            f"| {one['reader']} | {one['inputs']:,} | {one['read']:,} | {one['refused']:,} | {one['places']} "
            f"| {one['slowest_s']:.2f} | {one['largest_mb']} |"
        )
    head = (
        f"{results['inputs']:,} inputs of {len(results['readers'])} readers: {results['read']:,} were read, "
        f"{results['refused']:,} refused, {results['faults']:,} met a fault. The slowest took {results['slowest_s']:.2f} s "
        f"of processor time, the largest {results['largest_mb']} MB."
    )
    return "\n".join([head, "", *rows])


def page(text: str) -> str:
    """The page with both tables in it."""
    for name, table in (("limits", limits_table()), ("fuzz", fuzz_table(json.loads(RESULTS.read_text())))):
        before, rest = text.split(f"<!-- {name}: start -->")
        text = f"{before}<!-- {name}: start -->\n{table}\n<!-- {name}: end -->{rest.split(f'<!-- {name}: end -->')[1]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
