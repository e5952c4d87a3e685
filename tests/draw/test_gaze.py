"""Gaze on frames: where it is, the way it came, its heat, and its three states, each seen in the pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from isotherm.draw import GazeLook, GazeTrack, draw_gaze, gaze_frames
from isotherm.draw.gaze import COLOURS, DOT, heat_of, known_at
from isotherm.errors import OptionError, ShapeError
from isotherm.points import Points, State

NAN = math.nan
GREY = np.full((300, 400, 3), 60, np.uint8)
BARE = GazeLook(trail_s=0, heat_s=0, state=False)


def track(places, *, step_s=0.1, states=None):
    xy = torch.tensor(places, dtype=torch.float64)
    state = None if states is None else torch.tensor([int(s) for s in states])
    return GazeTrack(np.arange(len(xy)) * step_s, Points(xy, state=state))


def near(image, colour, tolerance=30):
    """(x, y) of the pixels of about that colour."""
    pixels = np.asarray(image).astype(int)
    rows, columns = np.nonzero((np.abs(pixels - np.array(colour)) <= tolerance).all(-1))
    return np.stack([columns + 0.5, rows + 0.5], -1)


def test_a_ring_and_a_dot_stand_where_the_gaze_is():
    drawn = draw_gaze(GREY, track([[120.0, 80.0], [300.0, 200.0]]), 0.1, look=BARE)
    assert np.abs(near(drawn, DOT).mean(0) - [300, 200]).max() < 0.6
    ring = near(drawn, COLOURS["tracked"])
    assert np.abs(ring.mean(0) - [300, 200]).max() < 0.6
    assert 4 < np.linalg.norm(ring - [300, 200], axis=1).mean() < 15
    earlier = draw_gaze(GREY, track([[120.0, 80.0], [300.0, 200.0]]), 0.05, look=BARE)
    assert np.abs(near(earlier, DOT).mean(0) - [120, 80]).max() < 0.6


def test_what_is_later_than_the_frame_is_not_drawn():
    some, more = (
        track([[100.0, 90.0], [150.0, 90.0]]),
        track([[100.0, 90.0], [150.0, 90.0], [350.0, 250.0], [1.0, 1.0]]),
    )
    assert np.array_equal(draw_gaze(GREY, some, 0.15), draw_gaze(GREY, more, 0.15))


def test_missing_gaze_is_a_dashed_ring_where_it_was_last_and_nothing_where_it_never_was():
    gone = track([[120.0, 80.0], [NAN, NAN]])
    assert known_at(gone, 0.1) == known_at(gone, 5.0) == known_at(GazeTrack.nothing(), 0.0) == "missing"
    drawn = draw_gaze(GREY, gone, 0.1, look=BARE)
    assert not len(near(drawn, DOT))
    ring = near(drawn, COLOURS["missing"], 40)
    assert np.abs(ring.mean(0) - [120, 80]).max() < 2
    angles = np.sort(np.arctan2(*(ring - [120, 80]).T))
    assert np.diff(angles).max() > 0.25  # a gap between dashes
    assert np.array_equal(draw_gaze(GREY, GazeTrack.nothing(), 0.0, look=BARE), GREY)


@pytest.mark.parametrize(
    ("outside", "border"),
    [((900.0, 150.0), (400, 150)), ((-300.0, 60.0), (0, 60)), ((200.0, -90.0), (200, 0)), ((90.0, 340.0), (90, 300))],
    ids=["right", "left", "top", "bottom"],
)
def test_an_arrow_at_the_border_points_to_where_the_gaze_went(outside, border):
    gone = track([[200.0, 150.0], outside], states=[State.LABELLED, State.OUT_OF_FRAME])
    assert known_at(gone, 0.1) == "out of frame"
    arrow = near(draw_gaze(GREY, gone, 0.1, look=BARE), COLOURS["out of frame"])
    assert len(arrow) > 20
    assert np.linalg.norm(arrow - border, axis=1).max() < 25
    # its tip is the end that is nearest to the border, and thinner than its middle
    axis = int(border[0] in (0, 400)) ^ 1
    along = np.abs(arrow[:, axis] - border[axis])
    assert along.min() < 8
    assert np.ptp(arrow[along < along.min() + 1.5][:, 1 - axis]) < np.ptp(arrow[:, 1 - axis])


def test_without_a_place_the_arrow_follows_how_the_gaze_last_moved():
    gone = track([[200.0, 150.0], [260.0, 120.0], [NAN, NAN]], states=[1, 1, State.OUT_OF_FRAME])
    arrow = near(draw_gaze(GREY, gone, 0.2, look=BARE), COLOURS["out of frame"])
    assert np.linalg.norm(arrow.mean(0) - [390, 55]) < 14  # on from (260, 120) by (60, -30) until x is 400
    still = track([[200.0, 280.0], [200.0, 280.0], [NAN, NAN]], states=[1, 1, State.OUT_OF_FRAME])
    arrow = near(draw_gaze(GREY, still, 0.2, look=BARE), COLOURS["out of frame"])
    assert np.linalg.norm(arrow.mean(0) - [200, 288]) < 12  # over the nearest side
    never = track([[NAN, NAN]], states=[State.OUT_OF_FRAME])
    assert len(near(draw_gaze(GREY, never, 0.0, look=BARE), COLOURS["out of frame"]))


def test_the_trail_joins_tracked_samples_and_is_interrupted_where_the_gaze_was_not():
    look = GazeLook(trail_s=1.0, heat_s=0, state=False)
    way = [[50.0, 150.0], [100.0, 150.0], [150.0, 150.0], [200.0, 150.0], [250.0, 150.0], [350.0, 150.0]]
    whole = np.asarray(draw_gaze(GREY, track(way), 0.5, look=look))
    broken = np.asarray(draw_gaze(GREY, track([*way[:2], [NAN, NAN], *way[3:]]), 0.5, look=look))
    assert whole[150, 175].min() > 100
    assert (broken[150, 125] == 60).all()
    assert (broken[150, 175] == 60).all()
    assert broken[150, 225].min() > 100
    assert whole[150, 300].mean() > whole[150, 75].mean()  # the older the fainter
    assert (np.asarray(draw_gaze(GREY, track(way), 0.5, look=BARE))[150, 175] == 60).all()


def test_heat_is_one_where_the_gaze_rested_all_the_time_and_shared_where_it_did_not():
    size = (300, 400)
    rested = heat_of(track([[210.0, 150.0]] * 20), 1.9, size, 1.0)
    assert rested.kind == "peak"
    assert 0.9 < float(rested.values.max()) <= 1
    peak = divmod(int(rested.values.argmax()), rested.values.shape[1])
    assert (
        rested.frame.points_to_source(torch.tensor([[peak[1] + 0.5, peak[0] + 0.5]]))
        .sub(torch.tensor([210.0, 150.0]))
        .abs()
        .max()
        < 5
    )
    two = heat_of(track([[100.0, 150.0], [300.0, 150.0]] * 10), 1.9, size, 1.0)
    assert 0.4 < float(two.values.max()) < 0.62  # the later half weighs more
    assert float(heat_of(track([[NAN, NAN]] * 20), 1.9, size, 1.0).values.max()) == 0
    late = heat_of(track([[100.0, 150.0]] * 10 + [[300.0, 150.0]] * 10), 1.9, size, 2.0)
    assert late.at_source()[150, 300] > late.at_source()[150, 100] > 0


def test_heat_colours_the_picture_around_the_gaze_alone():
    look = GazeLook(trail_s=0, heat_s=1, state=False)
    drawn = np.asarray(draw_gaze(GREY, track([[100.0, 150.0]] * 10), 0.9, look=look)).astype(int)
    changed = np.abs(drawn - 60).max(-1) > 3
    assert changed[150, 115]
    assert not changed[:, 180:].any()


def test_the_state_is_written_into_the_corner():
    look = GazeLook(trail_s=0, heat_s=0)
    seen = {}
    for name, gaze in {
        "tracked": track([[300.0, 30.0]]),
        "missing": GazeTrack.nothing(),
        "out of frame": track([[NAN, NAN]], states=[State.OUT_OF_FRAME]),
    }.items():
        seen[name] = np.asarray(draw_gaze(GREY, gaze, 0.0, look=look))[260:, :130]
        assert (seen[name] != 60).any()
    assert len({v.tobytes() for v in seen.values()}) == 3


def test_small_frames_are_enlarged_by_whole_numbers():
    drawn = draw_gaze(
        np.zeros((24, 32, 3), np.uint8), track([[8.0, 6.0]]), 0.0, look=GazeLook(trail_s=0, heat_s=0, state=False)
    )
    assert drawn.size == (256, 192)
    assert np.abs(near(drawn, DOT, 60).mean(0) - [64, 48]).max() < 1


def test_frames_come_one_for_each_time():
    frames = list(gaze_frames([GREY, GREY], track([[120.0, 80.0], [300.0, 200.0]]), [0.0, 0.1], look=BARE))
    assert [
        np.abs(near(f, DOT).mean(0) - at).max() < 0.6 for f, at in zip(frames, ([120, 80], [300, 200]), strict=True)
    ]
    with pytest.raises(ShapeError, match="more frames than times"):
        list(gaze_frames([GREY, GREY], track([[1.0, 1.0]]), [0.0]))
    with pytest.raises(ShapeError, match="more times than frames"):
        list(gaze_frames([GREY], track([[1.0, 1.0]]), [0.0, 1.0]))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="for 2 times"):
        GazeTrack(np.array([0.0, 1.0]), Points(torch.zeros(3, 2)))
    with pytest.raises(ShapeError, match="do not grow"):
        GazeTrack(np.array([0.0, 0.0]), Points(torch.zeros(2, 2)))
    with pytest.raises(OptionError, match="expected seconds"):
        GazeLook(trail_s=-1)
