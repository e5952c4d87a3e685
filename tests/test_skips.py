"""Where nothing may be skipped, a skip is a failure that says why; elsewhere it stays what it is."""

from __future__ import annotations

import pytest

from rigs.programs import WHERE, needs, unskipped


def report(reason: str, outcome: str = "skipped") -> pytest.TestReport:
    where = ("tests/test_page.py", 3, f"Skipped: {reason}")
    return pytest.TestReport("tests/test_page.py::test", ("a", 1, "b"), {}, outcome, where, "setup")


@pytest.mark.parametrize(
    ("reason", "strict", "outcome"),
    [
        ("no Chromium on this machine", True, "failed"),
        ("no Chromium on this machine", False, "skipped"),
        ("needs a CUDA device", True, "skipped"),
    ],
)
def test_a_skip_fails_where_nothing_may_be_missing(reason, strict, outcome):
    one = report(reason)
    unskipped(one, strict=strict)
    assert one.outcome == outcome
    assert reason in str(one.longrepr)


def test_what_is_no_skip_stays_what_it_is():
    expected = report("a known fault")
    expected.wasxfail = "a known fault"
    for one in (report("", "passed"), expected):
        before = one.outcome
        unskipped(one, strict=True)
        assert one.outcome == before


@pytest.mark.parametrize("program", WHERE)
def test_a_missing_program_is_named(monkeypatch, program):
    assert needs(program).kwargs["reason"].startswith("no ")
    monkeypatch.setitem(WHERE, program, (lambda: None, "no such program"))
    assert needs(program).args == (True,)
