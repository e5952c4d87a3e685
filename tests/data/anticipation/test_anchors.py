"""Where clips lie before actions: ours by seconds, and the published one in frames, written out as it is published."""

from __future__ import annotations

import random

import numpy as np
import pytest

from isotherm.data.anticipation.actions import Action, ActionTable
from isotherm.data.anticipation.anchors import ClipPlan
from isotherm.data.anticipation.read import read_actions
from isotherm.errors import InputError, OptionError
from rigs.action_tables import write_epic_kitchens

ACTION = Action("a", 10.0, 13.0, 0, 0, start_frame=600, stop_frame=780)


def test_a_clip_ends_before_the_action_and_counts_back_in_seconds():
    clip = ClipPlan().planned(ACTION, 0)
    assert clip.end_s == 9.0
    assert clip.anticipation_s == 1.0
    np.testing.assert_allclose(clip.time_s, 9 - np.arange(32, 0, -1) / 8, atol=1e-12)
    np.testing.assert_allclose(clip.before_s[[0, -1]], [-4, -0.125])
    assert not clip.inside.any()
    assert clip.padded == 0


@pytest.mark.parametrize("rate", [24.0, 29.97, 50.0, 59.94])
def test_the_videos_rate_changes_nothing_in_seconds(rate):
    assert (ClipPlan().planned(ACTION, 0, video_rate_hz=rate).time_s == ClipPlan().planned(ACTION, 0).time_s).all()


def test_what_is_drawn_depends_on_seed_epoch_and_number_alone():
    plan = ClipPlan(anticipation_s=(0.25, 1.75))
    drawn = [plan.planned(ACTION, i, epoch=e).anticipation_s for e in range(20) for i in range(50)]
    assert drawn == [plan.planned(ACTION, i, epoch=e).anticipation_s for e in range(20) for i in range(50)]
    assert len(set(drawn)) == 1000
    assert 0.25 <= min(drawn) < 0.27 < 1.73 < max(drawn) <= 1.75
    assert np.mean(drawn) == pytest.approx(1.0, abs=0.05)
    assert ClipPlan(anticipation_s=(0.25, 1.75), seed=1).planned(ACTION, 0).anticipation_s != drawn[0]


def test_a_clip_that_reaches_back_too_far_repeats_the_first_frame():
    clip = ClipPlan(frames=8, rate_hz=4.0).planned(Action("a", 2.0, 3.0, 0, 0), 0)
    np.testing.assert_allclose(clip.time_s, [0, 0, 0, 0, 0, 0.25, 0.5, 0.75])
    assert clip.padded == 4
    assert (clip.before_s <= 0).all()


def test_an_action_at_the_beginning_has_no_clip():
    table = ActionTable((Action("a", 0.0, 2.0, 0, 0), Action("a", 1.0, 2.0, 0, 0), Action("a", 1.1, 2.0, 0, 0)))
    plan = ClipPlan()
    assert plan.usable(table).tolist() == [2]
    assert not plan.planned(table[2], 2).inside.any()
    with pytest.raises(InputError, match="nothing of the video lies 1 s before it"):
        plan.planned(table[1], 1)
    assert ClipPlan(anticipation_s=(0.25, 1.75)).usable(table).tolist() == []
    assert ClipPlan(protocol="legacy").usable(table).tolist() == [0, 1, 2]


def test_the_table_may_say_itself_up_to_when_may_be_seen():
    plan = ClipPlan(anticipation_s=None)
    clip = plan.planned(Action("a", 20.75, 20.75, 0, 0, observed_s=20.0), 0)
    assert (clip.end_s, clip.anticipation_s) == (20.0, 0.75)
    with pytest.raises(InputError, match="does not say up to when"):
        plan.planned(ACTION, 0)


def published(start, stop, rate, *, frames, fps, ahead, point):
    """The indices of frames as the published evaluation works them out."""
    step = int(rate / fps)
    anchor = int(start * point + (1 - point) * stop - int(ahead * rate))
    indices = np.arange(anchor - int(frames * step), anchor, step)
    indices[indices < 0] = 0
    return indices


@pytest.mark.parametrize("rate", [24.0, 29.97, 50.0, 59.9400599400599, 90.0])
def test_legacy_is_what_is_published(rate):
    for start, stop in ((600, 780), (3, 40), (1000, 1030)):
        action = Action("a", 1.0, 2.0, 0, 0, start_frame=start, stop_frame=stop)
        clip = ClipPlan(protocol="legacy").planned(action, 0, video_rate_hz=rate)
        indices = published(start, stop, rate, frames=32, fps=8, ahead=1.0, point=0.0)
        np.testing.assert_allclose(clip.time_s * rate, indices, atol=1e-9)
        assert (
            clip.padded == (np.arange(stop - int(rate) - 32 * int(rate / 8), stop - int(rate), int(rate / 8)) < 0).sum()
        )


VIDEOS = "video_id,duration,fps,resolution\nP91_01,90,59.94005994005994,1920x1080\nP91_02,90,50.0,1920x1080\nP91_03,90,29.97002997002997,1920x1080\n"
ROWS = (
    "P91_01_0,P91,P91_01,00:00:09.5,00:00:10.00,00:00:13.00,600,780,open tap,open,3,tap,8,\"['tap']\",[8]",
    "P91_02_0,P91,P91_02,00:00:01.5,00:00:02.00,00:00:02.60,100,130,open tap,open,3,tap,8,\"['tap']\",[8]",
    "P91_03_0,P91,P91_03,00:00:04.5,00:00:05.00,00:00:06.67,300,400,open tap,open,3,tap,8,\"['tap']\",[8]",
)
BY_HAND = {
    # 59.94 / 8 = 7.49: every 7th frame; a second is 59 frames; 780 - 59 = 721; 32 x 7 = 224 before it: from 497 on
    "P91_01": """497 504 511 518 525 532 539 546 553 560 567 574 581 588 595 602
        609 616 623 630 637 644 651 658 665 672 679 686 693 700 707 714""",
    # 50 / 8 = 6.25: every 6th; 130 - 50 = 80; from 80 - 192 = -112 on: 19 of them lie before the video's first frame
    "P91_02": "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 2 8 14 20 26 32 38 44 50 56 62 68 74",
    # 29.97 / 8 = 3.75: every 3rd; a second is 29 frames; 400 - 29 = 371; from 371 - 96 = 275 on
    "P91_03": """275 278 281 284 287 290 293 296 299 302 305 308 311 314 317 320
        323 326 329 332 335 338 341 344 347 350 353 356 359 362 365 368""",
}
"""Numbers of the frames that the published evaluation shows, 32 at 8 a second, one second before the action's end."""


def test_legacy_shows_the_frames_of_a_table_that_were_worked_out_by_hand(tmp_path):
    fpath = write_epic_kitchens(tmp_path, ROWS)
    (tmp_path / "EPIC_100_video_info.csv").write_text(VIDEOS)
    table, plan = read_actions(fpath), ClipPlan(protocol="legacy")
    shown = {}
    for i, action in enumerate(table):
        rate = table.rate_of(action.video)
        clip = plan.planned(action, i, video_rate_hz=rate)
        shown[action.video] = (clip.time_s * rate).round(6).tolist()
        assert clip.end_s * rate == pytest.approx({"P91_01": 721, "P91_02": 80, "P91_03": 371}[action.video])
    assert shown == {video: [int(n) for n in numbers.split()] for video, numbers in BY_HAND.items()}
    # anchored at the action's start, 600 - 59 = 541: from 317 to 534
    other = ClipPlan(protocol="legacy", legacy_point=(1.0, 1.0))
    first = other.planned(table[0], 0, video_rate_hz=table.rate_of("P91_01"))
    assert (first.time_s[[0, -1]] * table.rate_of("P91_01")).round(6).tolist() == [317, 534]


def test_legacy_shows_what_it_is_to_predict_and_ours_does_not():
    rate = 60.0
    legacy = ClipPlan(protocol="legacy").planned(ACTION, 0, video_rate_hz=rate)
    # three seconds long, seen until one second before its end, in steps of seven frames
    assert legacy.inside.sum() == np.sum((legacy.time_s >= 10) & (legacy.time_s < 13)) == 17
    assert legacy.end_s == 12.0
    assert ClipPlan(protocol="legacy", legacy_point=(1.0, 1.0)).planned(ACTION, 0, video_rate_hz=rate).inside.sum() == 0


def test_legacy_draws_its_anchor_too():
    plan = ClipPlan(protocol="legacy", legacy_point=(0.0, 0.25), anticipation_s=(0.25, 1.75))
    ends = [plan.planned(ACTION, i, video_rate_hz=60.0) for i in range(200)]
    anchors = [clip.end_s + clip.anticipation_s for clip in ends]
    assert 12.25 - 0.05 <= min(anchors) < 12.4 < 12.8 < max(anchors) <= 13.05


def test_legacy_counts_frames_where_they_are_shown_unevenly():
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.03, 900))
    times -= times[0]
    clip = ClipPlan(protocol="legacy").planned(ACTION, 0, video_rate_hz=50.0, frame_times_s=times)
    np.testing.assert_array_equal(clip.time_s, times[published(600, 780, 50.0, frames=32, fps=8, ahead=1.0, point=0.0)])


def test_frames_of_legacy_follow_from_seconds_where_the_table_has_none():
    clip = ClipPlan(protocol="legacy", frames=2).planned(Action("a", 10.0, 13.0, 0, 0), 0, video_rate_hz=60.0)
    np.testing.assert_allclose(clip.time_s * 60, [720 - 14, 720 - 7])


def test_ours_never_sees_the_action_whatever_it_is():
    rng = random.Random(0)
    plan = ClipPlan(anticipation_s=(0.0, 2.0), frames=4)
    for i in range(300):
        start = rng.uniform(2.001, 50)
        clip = plan.planned(Action("a", start, start + rng.uniform(0, 9), 0, 0), i)
        assert clip.time_s.max() < clip.end_s <= start
        assert not clip.inside.any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frames": 0}, "at least 1"),
        ({"rate_hz": 0.0}, "above 0"),
        ({"anticipation_s": (2.0, 1.0)}, "in order"),
        ({"anticipation_s": None, "protocol": "legacy"}, "needs anticipation_s"),
        ({"legacy_point": (0.0, 1.0)}, "of the protocol 'legacy' alone"),
        ({"legacy_point": (0.0, 2.0), "protocol": "legacy"}, "the action's end, to 1"),
    ],
)
def test_options_out_of_range_are_named(options, words):
    with pytest.raises(OptionError, match=words):
        ClipPlan(**options)


def test_a_protocol_that_there_is_not_is_named(unchecked):
    with pytest.raises(OptionError, match="start, legacy"):
        ClipPlan(protocol="end")


@pytest.mark.parametrize("rate", [None, 6.0])
def test_legacy_needs_the_videos_rate(rate):
    with pytest.raises(OptionError, match="counts frames of the video"):
        ClipPlan(protocol="legacy").planned(ACTION, 0, video_rate_hz=rate)
