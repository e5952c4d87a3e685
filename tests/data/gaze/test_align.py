"""Clocks that run apart, lose frames or start elsewhere: gaze comes to its frame, or is refused with figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isotherm.data.gaze import GazeState
from isotherm.data.gaze.align import align
from isotherm.data.gaze.clock import VideoClock
from isotherm.data.gaze.figures import alignment_figure
from isotherm.data.gaze.formats.raw import RawGaze
from isotherm.data.gaze.limits import AlignOptions
from isotherm.errors import InputError, OptionError

RATE = 30.0
SIZE = (480, 640)


def video(frames=300, rate=RATE):
    return VideoClock(np.arange(frames) / rate, SIZE, "v.mp4")


def place(seconds):
    """Where the gaze was at a moment of the video, so that a shift in time shows."""
    return np.stack([320 + 200 * np.sin(seconds), 240 + 100 * np.cos(2 * seconds)], -1)


def raw(seconds, device_s=None, *, frame=None, clock="device", unit="pixels", **more):
    """Gaze at moments of the video, with the times that a recorder wrote for them."""
    seconds = np.asarray(seconds)
    device = seconds if device_s is None else np.asarray(device_s)
    xy = place(seconds) / (np.array([640, 480]) if unit == "shares" else 1)
    time_ns = np.rint(device * 1e9).astype(np.int64)
    return RawGaze(
        Path("gaze.csv"), "test", time_ns, xy, unit, np.ones(len(xy), np.float32), clock, frame=frame, **more
    )


def off(alignment):
    """How far gaze lies from where it was at its time, in pixels."""
    recording = alignment.recording
    return float(np.abs(recording.xy - place(recording.time_s)).max())


def failed(alignment):
    return [check.name for check in alignment.report.failed]


def test_world_timestamps_undo_offset_drift_and_dropped_frames():
    clock = video()
    world = 5000 + clock.time_s * (1 + 80e-6)
    world[150:] += 0.2  # the recorder stood still, and the video went on
    seconds = np.arange(0.01, 9.9, 0.008)
    device = np.interp(seconds, clock.time_s, world)
    alignment = align(raw(seconds, device), clock=clock, world_ns=np.rint(world * 1e9).astype(np.int64))
    np.testing.assert_allclose(alignment.recording.time_s, seconds, atol=1e-6)
    assert off(alignment) < 1e-3
    # what was undone is still more than anybody should take without looking
    assert failed(alignment) == ["19 of 20 pairs of times lie from their line", "drift of the clocks"]
    assert "REFUSED" in str(alignment.report)


def test_a_steady_drift_is_measured_and_kept_within_its_limit():
    clock = video(3000)
    world = 77 + clock.time_s * (1 + 80e-6)
    seconds = np.arange(0.0, 99.0, 0.02)
    alignment = align(
        raw(seconds, 77 + seconds * (1 + 80e-6)), clock=clock, world_ns=np.rint(world * 1e9).astype(np.int64)
    )
    assert failed(alignment) == []
    assert alignment.report.facts["clock"]["drift_ppm"] == pytest.approx(-80, abs=0.1)
    assert off(alignment) < 1e-3


def test_a_recorder_of_60_and_a_video_of_5994_frames():
    clock = VideoClock(np.arange(1200) * 1001 / 60000, SIZE, "v.mp4")
    world = np.arange(1200) / 60
    alignment = align(raw(np.arange(0, 19, 0.01)), clock=clock, world_ns=np.rint(world * 1e9).astype(np.int64))
    assert failed(alignment) == ["drift of the clocks"]
    assert "the clocks differ as 1001 : 1000, as 60 and 59.94" in str(alignment.report)
    assert (
        align(
            raw(np.arange(0, 19, 0.01)),
            clock=clock,
            world_ns=np.rint(world * 1e9).astype(np.int64),
            options=AlignOptions(drift_ppm=1100),
        ).report.failed
        == ()
    )


def test_numbers_of_frames_tie_the_clocks():
    clock = video()
    seconds = np.arange(0.0, 9.9, 1 / 120)
    frame = np.rint(seconds * RATE).astype(np.int64)
    alignment = align(raw(seconds, 900 + seconds, frame=frame), clock=clock)
    assert failed(alignment) == []
    assert off(alignment) < 2.0  # a line through means of frames: milliseconds
    assert np.abs(alignment.recording.time_s - seconds).max() < 0.004
    # EGTEA: a sample lies within its frame, and not around it
    within = raw(
        seconds, 900 + seconds, frame=np.floor(seconds * RATE + 1e-9).astype(np.int64), phase=0.5, rate_hz=RATE
    )
    assert np.abs(align(within, clock=clock).recording.time_s - seconds).max() < 0.006


def test_numbers_of_frames_of_another_rate_are_refused():
    seconds = np.arange(0.0, 9.9, 1 / 120)
    numbered = raw(seconds, frame=np.floor(seconds * 24).astype(np.int64), phase=0.5, rate_hz=24.0)
    assert "drift of the clocks" in failed(align(numbered, clock=video()))


def test_frames_that_the_video_has_not():
    seconds = np.arange(0.0, 12.0, 1 / 60)
    numbered = raw(seconds, frame=np.floor(seconds * RATE).astype(np.int64))
    assert "difference of the numbers of frames" in failed(align(numbered, clock=video(300)))
    with pytest.raises(InputError, match="names frames from 500"):
        align(raw(seconds, frame=np.floor(seconds * RATE).astype(np.int64) + 500), clock=video(300))
    world = np.rint(np.arange(310) / RATE * 1e9).astype(np.int64)
    assert "difference of the numbers of frames" in failed(align(raw(seconds[:500]), clock=video(300), world_ns=world))


def test_numbered_frames_without_times_or_without_a_video():
    frame = np.repeat(np.arange(40), 3)
    alignment = align(raw(np.zeros(120), frame=frame), clock=video(40))
    np.testing.assert_allclose(alignment.recording.time_s[:4] * RATE, [1 / 6, 0.5, 5 / 6, 7 / 6])
    with pytest.raises(OptionError, match="numbers frames and has no times: give the video"):
        align(raw(np.zeros(120), frame=frame), size=SIZE)
    seconds = np.arange(0.0, 4.0, 1 / 120)
    numbered = raw(seconds, 50 + seconds * 1.01, frame=np.rint(seconds * RATE).astype(np.int64))
    alone = align(numbered, size=SIZE)
    assert alone.report.facts["clock"]["drift_ppm"] is None
    assert alone.report.facts["video_clock"]["rate_hz"] == pytest.approx(RATE / 1.01, rel=1e-3)


def test_gaze_on_the_videos_clock_that_is_of_another_video():
    seconds = np.arange(0.0, 9.9, 0.02)
    assert failed(align(raw(seconds, clock="video"), clock=video())) == []
    assert failed(align(raw(seconds + 60, clock="video"), clock=video())) == [
        "frames of the video that have a sample",
        "gaze goes on behind the video",
    ]
    assert failed(align(raw(seconds, clock="video"), clock=video(3000))) == ["frames of the video that have a sample"]
    long = align(raw(np.arange(0.0, 3603.6, 0.1), clock="video"), clock=video(int(3600 * RATE)))
    assert "as 60 and 59.94" in str(long.report)
    shifted = align(raw(seconds, clock="video"), clock=video(), options=AlignOptions(offset_s=0.5))
    np.testing.assert_allclose(shifted.recording.time_s, seconds + 0.5)


def test_gaze_on_the_videos_clock_that_begins_before_it():
    seconds = np.arange(-4.0, 9.0, 0.02)
    early = align(raw(seconds, clock="video"), clock=video())
    assert failed(early) == ["gaze begins before the video"]
    assert early.report.failed[0].value == pytest.approx(4.0)
    assert "--most-overhang-s" in str(early.report.failed[0])
    assert failed(align(raw(seconds, clock="video"), clock=video(), options=AlignOptions(overhang_s=4.5))) == []
    # a recorder that is tied to the video by its own times may well have begun before it
    world = np.rint((video().time_s + 50) * 1e9).astype(np.int64)
    assert failed(align(raw(seconds, seconds + 50), clock=video(), world_ns=world)) == []


@pytest.mark.parametrize(("lost", "words"), [(1, "jump by 33.3 ms at 4.00 s"), (0, "1001 : 1000")])
def test_a_frame_that_was_dropped_is_not_called_a_drift(lost, words):
    clock = video(600)
    world = clock.time_s / (1 if lost else 1.001) + 50
    world = np.rint(np.delete(world, range(120, 120 + lost)) * 1e9).astype(np.int64)
    seconds = np.arange(0.0, 19.0, 0.02)
    check = align(raw(seconds, seconds + 50), clock=clock, world_ns=world).report.failed[0]
    assert check.name == "drift of the clocks"
    assert words in check.hint


def test_a_recorders_clock_without_any_tie_is_never_guessed():
    seconds = np.arange(0.0, 9.9, 0.02)
    with pytest.raises(OptionError, match=r"--world-timestamps FILE.*--start-together"):
        align(raw(seconds, 1e9 + seconds), clock=video())
    together = align(raw(seconds, 1e9 + seconds), clock=video(), options=AlignOptions(start_together=True))
    np.testing.assert_allclose(together.recording.time_s, seconds, atol=1e-6)
    with pytest.raises(OptionError, match="leave out --world-timestamps"):
        align(raw(seconds, clock="video"), clock=video(), world_ns=np.arange(3))
    with pytest.raises(OptionError, match="give the video"):
        align(raw(seconds, clock="video", unit="shares"))


def test_samples_out_of_order_and_at_one_time_are_counted():
    seconds = np.array([0.0, 0.2, 0.1, 0.3, 0.3, 0.9])
    gaze = raw(seconds, clock="video")
    gaze.confidence[:] = [1, 1, 1, 0.7, 0.9, 1]
    gaze.xy[3] = (1, 1)
    alignment = align(gaze, clock=video(30))
    assert alignment.recording.time_s.tolist() == [0.0, 0.1, 0.2, 0.3, 0.9]
    np.testing.assert_allclose(alignment.recording.xy[3], place(np.array([0.3]))[0])  # the surer of the two
    facts = alignment.report.facts["samples"]
    assert (facts["read"], facts["kept"], facts["backwards"], facts["repeated"]) == (6, 5, 1, 1)
    assert (facts["gaps"], facts["lost"]) == (1, 5)
    assert facts["longest_gap_s"] == pytest.approx(0.6)


def test_pixels_of_another_size_are_scaled_and_shares_become_pixels():
    seconds = np.arange(0.0, 9.0, 0.05)
    for gaze in (raw(seconds, clock="video", unit="shares"), raw(seconds, clock="video", gaze_size=SIZE)):
        assert off(align(gaze, clock=video())) < 1e-9
    small = align(raw(seconds, clock="video", gaze_size=SIZE), clock=VideoClock(video().time_s, (240, 320), "s.mp4"))
    np.testing.assert_allclose(small.recording.xy, place(small.recording.time_s) / 2)
    assert "pixels were those of 640 x 480 and are scaled to 320 x 240" in small.report.notes


def test_nothing_but_missing_gaze_is_refused():
    gaze = raw(np.arange(0.0, 9.0, 0.05), clock="video", missing={"blink": 180})
    gaze.xy[:] = np.nan
    alignment = align(gaze, clock=video())
    assert failed(alignment) == ["samples with a place"]
    assert (alignment.recording.state == GazeState.MISSING).all()
    assert "180: blink" in str(alignment.report)
    alignment_figure(alignment)


def test_the_picture_shows_what_the_report_says():
    clock = video()
    seconds = np.concatenate([np.arange(0.0, 4.0, 0.01), np.arange(6.0, 9.9, 0.01)])
    world = np.rint((clock.time_s + 3) * 1e9).astype(np.int64)
    alignment = align(raw(seconds, seconds + 3), clock=clock, world_ns=world)
    picture = np.asarray(alignment_figure(alignment))
    assert picture.shape == (990, 1560, 3)
    green = (np.abs(picture.astype(int) - (21, 128, 61)).max(-1) < 4).sum()
    blue = np.abs(picture[170:460].astype(int) - (14, 116, 144)).max(-1) < 4
    assert green > 3000  # the verdict
    counts = blue.sum(0)
    assert counts[300] > 50  # samples before the gap,
    assert counts[770] == 0  # none within it,
    assert counts[1100] > 50  # and again behind it
