"""Generated egocentric clips: what they show, what gaze says of them, and that every one of them depends on its number alone."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.data.egocentric.clips import make_egocentric, make_many
from isotherm.data.egocentric.config import ACTIONS, CARRY, LOOKS, NOUNS, PARTS, VERBS, EgocentricConfig
from isotherm.data.egocentric.story import generators, make_stories
from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError

ARRAYS = ("video", "time_s", "gaze", "state", "confidence", "verb", "noun", "action", "part")


@pytest.fixture(scope="module")
def many():
    return make_many(range(300))


def test_a_clip_depends_on_its_number_alone(many):
    again = make_many([17, 3, 299])
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(many, name)[[17, 3, 299]])
    alone = make_egocentric(17)
    np.testing.assert_array_equal(alone.video, many.video[17])
    assert (alone.verb, alone.noun, alone.part) == (many.verb[17], many.noun[17], PARTS[many.part[17]])
    assert (make_egocentric(17, seed=1).video != alone.video).any()
    assert len(make_many([])) == 0


def test_a_larger_picture_shows_the_same_clip(many):
    large = make_many(range(6), EgocentricConfig(side=128, noise=0))
    small = make_many(range(6), EgocentricConfig(noise=0))
    np.testing.assert_allclose(large.gaze / 4, many.gaze[:6])
    np.testing.assert_array_equal(large.action, many.action[:6])
    shrunk = large.video.reshape(6, 8, 3, 32, 4, 32, 4).mean((4, 6))
    assert np.abs(shrunk - small.video).mean() < 3  # thin edges are smoothed by another width


def test_labels_follow_from_what_was_looked_at(many):
    """Read as a person would read it: the last object looked at, and the one before it."""
    s = many.stories
    for i in range(len(many)):
        part = PARTS[many.part[i]]
        if part == "video":
            assert VERBS[many.verb[i]] == ("press", "pour")[s.fingers[i] - 1]
            continue
        centres = s.centres[i] * 32
        distance = np.linalg.norm(centres - many.gaze[i][:, None], axis=-1)
        seen = many.state[i] == GazeState.TRACKED
        nearest = distance.argmin(1)
        visits = [v for j, v in enumerate(nearest) if seen[j] and (j == 0 or v != nearest[j - 1])]
        assert distance[seen].min(1).max() < 32 / 8  # half a cell: no other object is as near
        assert s.classes[i, visits[-1]] == many.noun[i]
        if (many.state[i] == GazeState.OUT_OF_FRAME).any():
            assert many.verb[i] == CARRY
        else:
            assert many.verb[i] == s.classes[i, visits[-2]] % 3
    assert (np.array(ACTIONS)[many.action] == np.stack([many.verb, many.noun], 1)).all()


def test_gaze_leaves_or_is_missing_at_the_end_of_one_part_alone(many):
    away = many.part == PARTS.index("out_of_frame")
    assert (many.state[~away] == GazeState.TRACKED).all()
    last = many.state[away, -1]
    assert 0.4 < (last == GazeState.OUT_OF_FRAME).mean() < 0.6
    assert set(last.tolist()) == {GazeState.MISSING, GazeState.OUT_OF_FRAME}
    outside = many.state == GazeState.OUT_OF_FRAME
    inside = ((many.gaze >= 0) & (many.gaze <= 32)).all(-1)
    assert not inside[outside].any()
    assert inside[many.state == GazeState.TRACKED].all()
    assert np.isnan(many.gaze[many.state == GazeState.MISSING]).all()
    assert (many.confidence[many.state == GazeState.MISSING] == 0).all()
    assert (many.confidence[many.state != GazeState.MISSING] >= 0.8).all()


def test_pictures_tell_nothing_of_what_only_gaze_decides():
    """Without noise, swapping which objects were looked at leaves the pixels; no fingers are shown."""
    config = EgocentricConfig(gaze=1, out_of_frame=1, video=0, noise=0)
    clips = make_many(range(40), config)
    assert not clips.stories.fingers.any()
    watched = make_many(range(40), EgocentricConfig(gaze=0, out_of_frame=1, video=0, noise=0))
    np.testing.assert_array_equal(clips.video, watched.video)
    assert (clips.verb != watched.verb).any()


def test_fingers_are_at_the_target_and_coloured_by_the_verb():
    config = EgocentricConfig(gaze=0, out_of_frame=0, video=1, noise=0, side=64, drift=0)
    clips = make_many(range(30), config)
    for i in range(30):
        x, y = clips.stories.centres[i, -1, 0] * 64
        reach = 1.25 * clips.stories.radius[i, 0] * 64
        colour = clips.video[i, -1, :, int(y), int(x - reach)].astype(int)
        assert (colour[0] > colour[2] + 40) == (VERBS[clips.verb[i]] == "press"), colour


def test_other_rates_show_other_moments_of_the_same_clip():
    slow, fast = (make_many(range(60), EgocentricConfig(rates_hz=(rate,), noise=0)) for rate in (6.0, 10.0))
    np.testing.assert_array_equal(slow.action, fast.action)
    np.testing.assert_allclose(slow.time_s[0], np.arange(8) / 6)
    # 0.2 s before the end is looked at the same thing
    np.testing.assert_array_equal(slow.stories.looked[:, -2], fast.stories.looked[:, -3].copy())
    speed = [
        np.linalg.norm(np.diff(c.stories.shift, axis=1), axis=-1).mean() / np.diff(c.time_s).mean()
        for c in (slow, fast)
    ]
    assert speed[0] == pytest.approx(speed[1], rel=0.02)
    mixed = make_many(range(60), EgocentricConfig(rates_hz=(6.0, 8.0, 10.0), noise=0))
    assert set(mixed.stories.rate_hz.tolist()) == {6.0, 8.0, 10.0}
    np.testing.assert_allclose(1 / np.diff(mixed.time_s, axis=1).mean(1), mixed.stories.rate_hz)


@pytest.mark.parametrize("rate", [4.5, 6.0, 8.0, 10.0, 13.9])
def test_every_look_that_decides_is_seen_at_every_rate(rate):
    for part in ("gaze", "out_of_frame"):
        config = EgocentricConfig(rates_hz=(rate,), **{p: float(p == part) for p in PARTS})
        looked = make_stories(generators(0, range(50)), config).looked
        assert ((looked == 0).any(1) & (looked == 1).any(1)).all()
        assert (looked == -1).any() == (part == "out_of_frame")


def test_unseen_objects_have_no_seen_colour_size_or_angle():
    seen, unseen = (
        make_stories(generators(0, range(500)), EgocentricConfig(look=look)) for look in ("varied", "unseen")
    )
    near = np.abs((unseen.hue.ravel()[:, None] - np.arange(6) / 6 + 0.5) % 1 - 0.5).min(1)
    assert (
        near.min() > 0.06 > 0.021 > np.abs((seen.hue.ravel()[:, None] - np.arange(6) / 6 + 0.5) % 1 - 0.5).min(1).max()
    )
    low, high = seen.radius.min(), seen.radius.max()
    assert not ((unseen.radius >= low) & (unseen.radius <= high)).any()
    turned, turned_seen = (np.rad2deg(np.abs(stories.angle)) for stories in (unseen, seen))
    assert 12 < turned.min() < turned.max() < 24
    assert ((turned_seen <= 12) | (turned_seen >= 24)).all()
    assert {True, False} == set((turned_seen <= 12).ravel().tolist())
    assert {0, 1, 2, 3, 4, 5} == set(seen.classes.ravel().tolist())


def test_only_the_shape_tells_the_class_unless_objects_are_plain():
    for look in LOOKS:
        stories = make_stories(generators(0, range(400)), EgocentricConfig(look=look))
        hues = [len(set((stories.hue[stories.classes == c] * 12).round().astype(int) % 12)) for c in range(len(NOUNS))]
        assert set(hues) == ({1} if look == "plain" else {6})


def test_gaze_lies_about_the_middle_of_what_is_looked_at(many):
    """In expectation: its offset is symmetric, and about as wide as said."""
    on = many.stories.looked >= 0
    at = np.take_along_axis(many.stories.centres, many.stories.looked.clip(0)[..., None, None], 2)[:, :, 0]
    offset = (many.stories.gaze - at)[on]
    assert np.abs(offset.mean(0)).max() < 0.002
    assert offset.std(0) == pytest.approx([0.0188, 0.0188], abs=0.001)  # 0.02, cut off at 2.25 of it


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"side": 8}, "at least 16 pixels"),
        ({"objects": 7}, "3 to 6"),
        ({"gaze": 0, "out_of_frame": 0, "video": 0}, "above 0"),
        ({"gaze": -1}, "at least 0"),
        ({"rates_hz": ()}, "empty"),
        ({"rates_hz": (8.0, 30.0)}, "so that every look is seen"),
        ({"rates_hz": (2.0,)}, "above 4 Hz"),
        ({"noise": 100}, "0 to 64"),
    ],
)
def test_options_out_of_range_are_named(options, words):
    with pytest.raises(OptionError, match=words):
        EgocentricConfig(**options)


def test_a_look_that_there_is_not_is_named(unchecked):
    with pytest.raises(OptionError, match="plain, varied, unseen"):
        EgocentricConfig(look="shiny")


def test_numbers_of_clips_out_of_range_are_named():
    with pytest.raises(OptionError, match="2\\*\\*42"):
        make_egocentric(-1)


def test_more_frames_a_second_film_the_same_clip():
    few = make_many(range(20), EgocentricConfig(noise=0))
    film = make_many(range(20), EgocentricConfig(noise=0, frames=22, rates_hz=(24.0,)))
    np.testing.assert_allclose(film.time_s[:, ::3], few.time_s)
    np.testing.assert_array_equal(film.video[:, ::3], few.video)
    np.testing.assert_array_equal(film.stories.looked[:, ::3], few.stories.looked)


def test_gaze_is_a_recording():
    for i in range(12):
        clip = make_egocentric(i, EgocentricConfig(gaze=0, out_of_frame=1, video=0))
        recording = clip.recording()
        assert recording.size == (32, 32)
        samples = recording.at(clip.time_s, window_s=0.01)
        np.testing.assert_array_equal(samples.xy, clip.gaze)
        np.testing.assert_array_equal(samples.state, clip.state)
