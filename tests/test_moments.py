"""When each map of a clip is, computed by hand."""

from __future__ import annotations

import pytest

from isotherm.errors import ShapeError
from isotherm.moments import Moments, Timeline

SECONDS = tuple(i / 10 for i in range(17))


@pytest.mark.parametrize(
    ("count", "fed", "expected"),
    [
        (4, 4, (0, 1, 2, 3)),
        (8, 4, (1, 3, 5, 7)),
        (12, 4, (1, 4, 7, 10)),
        (10, 4, (1, 3, 6, 8)),
        (2, 4, (0, 0, 1, 1)),
        (1, 3, (0, 0, 0)),
    ],
)
def test_the_frames_that_are_fed_lie_in_the_middle_of_their_parts(count, fed, expected):
    assert Timeline.of(count, fed=fed).fed == expected
    for k, frame in enumerate(expected):
        assert k * count / fed - 1 < frame < (k + 1) * count / fed


def test_tubelets_last_for_their_frames():
    moments = Timeline.of(16, fed=8, edges_s=SECONDS).moments(1.0, 2.0, 4)
    assert moments.frames == ((0, 4), (4, 8), (8, 12), (12, 16))
    assert moments.times_s == tuple((SECONDS[i], SECONDS[i + 4]) for i in (0, 4, 8, 12))
    assert moments.shown == (1, 5, 9, 13)
    assert moments.names == ("0 to 0.4 s", "0.4 to 0.8 s", "0.8 to 1.2 s", "1.2 to 1.6 s")


def test_cells_off_centre_stand_for_what_is_nearest():
    """Three convolutions of stride 2 with padding 1 leave cells at the middles of frames 0 and 8 of 16."""
    moments = Timeline.of(16, fed=16).moments(0.5, 8.0, 2)
    assert moments.frames == ((0, 4.5), (4.5, 16))
    assert moments.shown == (0, 8)
    assert [moments.of_frame(f) for f in (0, 3, 4, 8, 15)] == [0, 0, 1, 1, 1]
    assert moments.names == ("frames 0 to 3", "frames 4 to 15")
    assert moments.times_s is None


def test_frames_of_unequal_length():
    moments = Timeline(4, (0, 1, 2, 3), (0.0, 1.0, 1.5, 3.5, 4.0)).moments(0.5, 1.0, 4)
    assert moments.times_s == ((0, 1), (1, 1.5), (1.5, 3.5), (3.5, 4))
    assert Timeline(4, (0, 1, 2, 3), (0.0, 1.0, 1.5, 3.5, 4.0)).second(2.25) == 2.0


def test_one_moment_is_taken():
    moments = Timeline.of(16, fed=8, edges_s=SECONDS).moments(1.0, 2.0, 4)
    assert moments.take(-1) == Moments(((12, 16),), (13,), (moments.times_s[3],))
    assert moments.take(slice(1, 3)).shown == (5, 9)
    assert moments.take(1).of_frame(0) == 0  # nothing is nearer


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Timeline(4, (4,)), "expected numbers from 0"),
        (lambda: Timeline(4, ()), "of a clip of 4"),
        (lambda: Timeline.of(4, fed=2, edges_s=[0, 1, 2]), "3 edges in time for 4 frames"),
        (lambda: Timeline.of(2, fed=2, edges_s=[0, 1, 1]), "do not grow"),
        (lambda: Moments(((0, 1),), (0, 1)), "one of each per moment"),
        (lambda: Moments((), ()), "at least one"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(ShapeError, match=words):
        make()
