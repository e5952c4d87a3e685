"""How many threads a process computes with, and what it finds in its environment."""

from __future__ import annotations

import os

import pytest

from isotherm.studio.processor import cores, environment


@pytest.mark.parametrize(
    ("text", "most"),
    [("100000 100000", 1), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", None), ("", None), ("1 0", None)],
)
def test_a_share_of_time_is_a_number_of_cores(tmp_path, text, most):
    there = cores(tmp_path / "there is none")
    assert 1 <= there <= (os.cpu_count() or 1)
    (tmp_path / "cpu.max").write_text(text)
    assert cores(tmp_path / "cpu.max") == (there if most is None else min(most, there))


def test_what_somebody_set_stays_unless_threads_are_asked_for():
    assert environment(None, {}) == {"OMP_NUM_THREADS": str(cores()), "YOLO_OFFLINE": "1"}
    assert environment(None, {"OMP_NUM_THREADS": "7", "YOLO_OFFLINE": ""}) == {}
    assert environment(3, {"OMP_NUM_THREADS": "7"}) == {"OMP_NUM_THREADS": "3", "YOLO_OFFLINE": "1"}
