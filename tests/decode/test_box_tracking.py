"""Boxes through time: crossing, pauses, strays, and the assignment of all at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.decode.box_tracking import box_overlap, track_boxes
from isotherm.errors import OptionError, ShapeError


def box(x, y, side=10.0):
    return [x, y, x + side, y + side]


def test_two_heads_that_cross_keep_to_themselves():
    """At the crossing they overlap more with where the other was; only how they moved tells them apart."""
    moments = [torch.tensor([box(6.0 * t, 0), box(87 - 6.0 * t, 0.5)]) for t in range(15)]
    shuffled = [m.flip(0) if t % 3 == 0 else m for t, m in enumerate(moments)]
    tracks = track_boxes(shuffled)
    assert len(tracks) == 2
    for track in tracks:
        xs = [b[0] for b in track.boxes]
        steps = np.diff(xs)
        assert np.allclose(steps, steps[0])


def test_a_head_may_be_unseen_for_a_while_and_not_longer():
    moments = [torch.tensor([box(2.0 * t, 0)]) if t not in (3, 4) else torch.zeros(0, 4) for t in range(8)]
    assert [t.moments for t in track_boxes(moments, memory=2)] == [[0, 1, 2, 5, 6, 7]]
    assert [t.moments for t in track_boxes(moments, memory=1)] == [[0, 1, 2], [5, 6, 7]]


def test_a_box_elsewhere_begins_a_track_of_its_own_and_short_ones_are_left_out():
    moments = [torch.tensor([box(0, 0), box(50, 50)]) if t == 1 else torch.tensor([box(0, 0)]) for t in range(4)]
    assert [t.rows for t in track_boxes(moments)] == [[0, 0, 0, 0], [1]]
    assert [t.rows for t in track_boxes(moments, least_moments=2)] == [[0, 0, 0, 0]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_all_are_assigned_so_that_the_overlaps_are_most_in_sum(seed, count):
    draw = np.random.default_rng(seed)
    first = draw.uniform(0, 20, (count, 2))
    second = first + draw.normal(0, 4, (count, 2))
    a, b = (np.concatenate([p, p + 10], 1) for p in (first, second))
    overlap = box_overlap(a, b)
    tracks = track_boxes([torch.from_numpy(a), torch.from_numpy(b)], least_iou=1e-9)
    got = sum(overlap[t.rows[0], t.rows[1]] for t in tracks if t.moments == [0, 1])
    best = max(sum(overlap[i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(count)))
    assert got == pytest.approx(best)


def test_overlap_by_hand_and_of_boxes_without_area():
    boxes = np.array([[0.0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 5, 5]])
    assert box_overlap(boxes, boxes).round(6).tolist() == [[1, 0.142857, 0], [0.142857, 1, 0], [0, 0, 0]]


def test_what_does_not_fit_is_refused():
    with pytest.raises(OptionError, match="expected an overlap above 0 to 1"):
        track_boxes([], least_iou=0)
    with pytest.raises(ShapeError, match="moment 0"):
        track_boxes([torch.zeros(2, 5)])
