"""The times of frames come from the file, whatever its rate."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.data.gaze.clock import camera_rate, read_clock
from isotherm.errors import InputError
from rigs.gaze import SIZE, write_video


def test_a_video_of_5994_frames_a_second(tmp_path):
    times = np.arange(60) * 1001 / 60000
    write_video(tmp_path / "v.mp4", times)
    clock = read_clock(tmp_path / "v.mp4")
    np.testing.assert_allclose(clock.time_s, times, atol=1e-5)
    assert clock.size == SIZE
    assert clock.name == "v.mp4"
    assert (clock.variable, clock.gaps, clock.repeated) == (False, 0, 0)
    assert camera_rate(clock.mean_rate_hz) * 1001 == 60000
    assert clock.end_s == pytest.approx(60 * 1001 / 60000, abs=1e-5)


def test_a_variable_rate_and_dropped_frames(tmp_path):
    steps = np.where(np.arange(40) % 5 == 4, 0.05, 0.02)
    times = np.concatenate([[0.0], np.cumsum(steps)])
    write_video(tmp_path / "v.mp4", times)
    clock = read_clock(tmp_path / "v.mp4")
    np.testing.assert_allclose(clock.time_s, times, atol=1e-4)
    assert clock.variable
    write_video(tmp_path / "d.mp4", np.delete(np.arange(50) / 25, [20, 21, 35]))
    dropped = read_clock(tmp_path / "d.mp4")
    assert (dropped.gaps, dropped.interval_s) == (3, pytest.approx(0.04))


def test_what_is_no_video(tmp_path):
    (tmp_path / "v.mp4").write_text("none")
    with pytest.raises(InputError):
        read_clock(tmp_path / "v.mp4")
