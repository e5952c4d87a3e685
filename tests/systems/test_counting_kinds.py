"""Kinds of objects, told apart by their points and the exemplars' size, and which of them have a dot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isotherm.data.fsc147 import CountedPicture
from isotherm.systems.counting_kinds import (
    kind_counts,
    kind_shares,
    kinds_of,
    object_boxes,
    object_size,
    objects_with_dots,
)

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
    assert kinds_of(PICTURE, (83, 100))[7] == "border"  # its lower side, 4 pixels below its point


def picture_of(points, boxes):
    return CountedPicture("a.png", Path("a.png"), "red", np.array(points, float), np.array(boxes, float))


def test_an_exemplar_is_the_box_of_the_object_in_its_middle():
    one = picture_of([[20, 20], [24, 20], [60, 60]], [[10, 14, 30, 26], [0, 0, 6, 6]])
    boxes, own = object_boxes(one)
    assert own.tolist() == [True, False, False]
    assert boxes.tolist() == [
        [10, 14, 30, 26],
        [17.5, 15.5, 30.5, 24.5],
        [53.5, 55.5, 66.5, 64.5],
    ]  # of 13 x 9 on average
    bare, none = object_boxes(picture_of([[1, 1]], np.zeros((0, 4))))
    assert (np.isnan(bare).all(), none.tolist()) == (True, [False])


def test_exemplars_tell_what_covers_what():
    # another point lies in the exemplar's box, far from its own by the exemplars' size
    assert kinds_of(picture_of([[20, 20], [28, 24]], [[10, 14, 30, 26]]), (100, 100)) == ["occluded", "occluded"]
    # two long boxes side by side do not cover each other, though their points are nearer than half of their length
    assert (
        kinds_of(picture_of([[20, 20], [29, 20]], [[16, 0.5, 24, 40], [25, 0.5, 33, 40]]), (100, 100)) == ["border"] * 2
    )
    assert kinds_of(picture_of([[20, 22], [29, 22]], [[16, 2, 24, 42], [25, 2, 33, 42]]), (100, 100)) == ["other"] * 2
    # lying over each other by half
    assert (
        kinds_of(picture_of([[20, 22], [24, 22]], [[16, 2, 24, 42], [20, 2, 28, 42]]), (100, 100)) == ["occluded"] * 2
    )


def test_an_exemplar_that_ends_at_the_edge_is_cut_off_by_it():
    assert kinds_of(picture_of([[5, 50]], [[0, 40, 12, 60]]), (100, 100)) == ["border"]
    assert kinds_of(picture_of([[8, 50]], [[2, 40, 14, 60]]), (100, 100)) == ["other"]
    assert kinds_of(picture_of([[92, 50]], [[85, 40, 99.5, 60]]), (100, 100)) == ["border"]


def test_without_exemplars_nothing_is_told_apart():
    bare = CountedPicture("a.png", Path("a.png"), "red", PICTURE.points, np.zeros((0, 4)))
    assert set(kinds_of(bare, (100, 100))) == {"other"}
    assert not objects_with_dots(PICTURE.points, bare).any()
    assert kinds_of(CountedPicture("a", Path("a"), "red", np.zeros((0, 2)), PICTURE.boxes), (9, 9)) == []


def test_an_exemplar_without_an_extent_says_nothing():
    flat = picture_of([[20, 20], [60, 60]], [[15, 16, 25, 24], [60, 60, 60, 60]])
    assert object_size(flat) == 10
    assert kinds_of(flat, (100, 100)) == ["other", "other"]
    assert object_size(picture_of([[20, 20]], [[5, 5, 5, 9]])) is None


def test_which_objects_have_a_dot():
    on = objects_with_dots(np.array([[4.0, 54.0], [4.0, 52.0], [60.0, 66.0], [30.0, 80.0]]), PICTURE)
    assert on.tolist() == [True, False, False, False, False, False, False, True, False]
    kinds = kinds_of(PICTURE, (100, 100))
    assert kind_counts(kinds, on) == {"border": [1, 1], "occluded": [2, 0], "cluster": [3, 0], "other": [3, 1]}
    shares = kind_shares([{"kinds": kind_counts(kinds, on)}, {"kinds": {"border": [3, 0]}}, {}])
    assert shares["border"] == {"objects": 4, "dot_recall": 0.25}
    assert shares["other"] == {"objects": 3, "dot_recall": pytest.approx(1 / 3)}
