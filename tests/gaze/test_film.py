"""A video with the gaze of its recording on it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.clip import GazeClip
from isotherm.data.video import read_frames
from isotherm.draw import GazeLook
from isotherm.draw.gaze import DOT
from isotherm.errors import ShapeError
from isotherm.gaze.film import film_gaze, gaze_track
from rigs.gaze import SIZE, wandering
from rigs.videos import numbered_clip, write_clip


def test_a_recording_is_drawn_by_its_states():
    track = gaze_track(wandering())
    assert [track.known(i) for i in (0, 10, 20)] == ["tracked", "missing", "out of frame"]
    recording = wandering()
    clip = GazeClip.of_samples(recording.at([0.0, 0.4, 0.8], window_s=0.01), SIZE)
    assert [gaze_track(clip).known(i) for i in range(3)] == ["tracked", "missing", "out of frame"]
    assert np.array_equal(gaze_track(clip).xy[0], recording.xy[0])


def test_every_frame_has_the_gaze_of_its_own_time(tmp_path):
    video = write_clip(tmp_path / "clip.mp4", frames=8, rate=10, h=96, w=128)
    steps = np.arange(8) / 10
    gaze = GazeRecording.of(steps, np.stack([20 + 12 * np.arange(8.0), np.full(8, 30.0)], -1), size=(96, 128))
    told = []
    look = GazeLook(trail_s=0, heat_s=0, state=False, least_side=512)
    out = film_gaze(video, gaze, tmp_path / "gaze.mp4", look=look, command="isotherm film", say=told.append)
    frames = [frame.array().astype(int) for frame in read_frames(out)]
    assert len(frames) == len(told) == 8
    for i, frame in enumerate(frames):
        at = np.argwhere(np.abs(frame - np.array(DOT)).sum(-1) < 150)
        assert np.abs(at.mean(0)[::-1] / 4 - [20 + 12 * i, 30]).max() < 1.0
    some = film_gaze(video, gaze, tmp_path / "some.gif", every=2, start_s=0.2, look=look)
    with Image.open(some) as file:
        assert file.n_frames == 3


@pytest.mark.parametrize("name", ["gaze.mp4", "gaze.gif"])
def test_a_film_keeps_the_times_of_a_variable_rate(tmp_path, name):
    """At the mean rate, the frames behind a long one are up to half a second early."""
    times = np.array([0.0, 0.04, 0.08, 0.6, 0.64, 0.68, 0.72, 1.2])
    video = numbered_clip(tmp_path / "clip.mp4", times)
    gaze = GazeRecording.of(times, np.full((8, 2), 20.0), size=(48, 96))
    film = film_gaze(video, gaze, tmp_path / name)
    if name.endswith("gif"):
        with Image.open(film) as file:
            lasting = [(file.seek(i), file.info["duration"])[1] for i in range(8)]
        shown = np.cumsum([0, *lasting[:-1]]) / 1e3
    else:
        shown = np.array([frame.time_s for frame in read_frames(film)])
    np.testing.assert_allclose(shown, times, atol=1e-3)
    later = film_gaze(video, gaze, tmp_path / "later.mp4", start_s=0.05, every=2)
    np.testing.assert_allclose([f.time_s for f in read_frames(later)], times[[2, 4, 6]] - times[2], atol=1e-3)


def test_a_recording_of_another_video_is_refused(tmp_path):
    video = write_clip(tmp_path / "clip.mp4")
    with pytest.raises(ShapeError, match="the video is 64 x 48 pixels and the gaze is of one of 128 x 96"):
        film_gaze(video, wandering(), tmp_path / "gaze.mp4")
    assert not (tmp_path / "gaze.mp4").exists()
