"""Kinds of objects, told apart by their points and the exemplars' size, and which of them have a dot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isotherm.data.fsc147 import CountedPicture
from isotherm.systems.counting_kinds import kind_counts, kind_shares, kinds_of, objects_with_dots

POINTS = {
    (4.0, 50.0): "border",  # 10 pixels wide: its left is outside
    (95.0, 50.0): "other",  # its right touches the edge
    (30.0, 30.0): "occluded",
    (33.0, 33.0): "occluded",
    (60.0, 60.0): "cluster",
    (72.0, 60.0): "cluster",
    (66.0, 70.0): "cluster",
    (30.0, 80.0): "other",
    (42.0, 80.0): "other",  # one neighbour alone
}
PICTURE = CountedPicture("a.png", Path("a.png"), "red", np.array(list(POINTS)), np.array([[0.0, 0.0, 10.0, 8.0]]))


def test_kinds_by_hand():
    assert kinds_of(PICTURE, (100, 100)) == list(POINTS.values())
    assert kinds_of(PICTURE, (55, 100))[0] == "border"
    assert kinds_of(PICTURE, (84, 100))[7] == "border"  # its lower side


def test_without_exemplars_nothing_is_told_apart():
    bare = CountedPicture("a.png", Path("a.png"), "red", PICTURE.points, np.zeros((0, 4)))
    assert set(kinds_of(bare, (100, 100))) == {"other"}
    assert not objects_with_dots(PICTURE.points, bare).any()
    assert kinds_of(CountedPicture("a", Path("a"), "red", np.zeros((0, 2)), PICTURE.boxes), (9, 9)) == []


def test_which_objects_have_a_dot():
    on = objects_with_dots(np.array([[4.0, 54.0], [4.0, 52.0], [60.0, 66.0], [30.0, 80.0]]), PICTURE)
    assert on.tolist() == [True, False, False, False, False, False, False, True, False]
    kinds = kinds_of(PICTURE, (100, 100))
    assert kind_counts(kinds, on) == {"border": [1, 1], "occluded": [2, 0], "cluster": [3, 0], "other": [3, 1]}
    shares = kind_shares([{"kinds": kind_counts(kinds, on)}, {"kinds": {"border": [3, 0]}}, {}])
    assert shares["border"] == {"objects": 4, "dot_recall": 0.25}
    assert shares["other"] == {"objects": 3, "dot_recall": pytest.approx(1 / 3)}
