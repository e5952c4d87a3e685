"""Rows of a rule that `make test` leaves out, as the rule is held there by other rows: `make test-all` runs them too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest


def wide(rows: Iterable[Any]) -> list[Any]:
    """These rows of a parametrisation, marked; a row of several arguments is a tuple, and what is marked already stays so."""
    return [_marked(row) for row in rows]


def _marked(row: Any) -> Any:
    if type(row).__name__ == "ParameterSet":
        return pytest.param(*row.values, marks=[*row.marks, pytest.mark.wide], id=row.id)
    return (
        pytest.param(*row, marks=pytest.mark.wide)
        if isinstance(row, tuple)
        else pytest.param(row, marks=pytest.mark.wide)
    )


def every_rule_has_a_row(items: Iterable[pytest.Item]) -> None:
    """Refuse a test all of whose rows are left out of `make test`, where its rule would be held by nothing."""
    rows: dict[str, list[bool]] = defaultdict(list)
    for item in items:
        rows[item.nodeid.partition("[")[0]].append(item.get_closest_marker("wide") is not None)
    if nowhere := sorted(rule for rule, marks in rows.items() if all(marks)):
        raise pytest.UsageError(f"all rows are marked wide, so that make test runs none: {', '.join(nowhere)}")
