"""Wide rows are marked as such, and no rule may consist of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rigs.breadth import every_rule_has_a_row, wide


def test_rows_of_one_and_of_several_arguments_are_marked_and_keep_their_marks():
    one, pair, marked = wide(["resnet", ("resnet", 3), pytest.param("vit", marks=pytest.mark.slow, id="large")])
    assert (one.values, pair.values, marked.values, marked.id) == (("resnet",), ("resnet", 3), ("vit",), "large")
    assert [[mark.name for mark in row.marks] for row in (one, pair, marked)] == [["wide"], ["wide"], ["slow", "wide"]]


def item(name: str, mark: object) -> SimpleNamespace:
    return SimpleNamespace(nodeid=name, get_closest_marker=lambda _: mark)


def test_a_rule_of_wide_rows_alone_is_refused():
    every_rule_has_a_row(
        [item("a.py::rule[resnet]", None), item("a.py::rule[vit]", object()), item("a.py::other", None)]
    )
    with pytest.raises(pytest.UsageError, match=r"make test runs none: a\.py::rule$"):
        every_rule_has_a_row([item("a.py::rule[vit]", object()), item("a.py::other", None)])
