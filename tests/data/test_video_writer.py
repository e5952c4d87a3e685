"""Frames with their own times become a video that has them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV is not installed")

from isotherm.data.video import read_frames
from isotherm.data.video_writer import VideoWriter
from isotherm.errors import InputError


def frame(value: int, h: int = 49, w: int = 65) -> np.ndarray:
    return np.full((h, w, 3), value, np.uint8)


def test_frames_keep_their_times(tmp_path):
    times = [0.0, 0.05, 0.051, 0.4, 1.25]
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for i, time_s in enumerate(times):
            writer.add(frame(50 * i), time_s)
        writer.add(frame(0), 1.2501)  # no later by a thousandth: left out
    assert writer.frames == 5
    kept = list(read_frames(tmp_path / "a.mp4"))
    assert [one.time_s for one in kept] == pytest.approx(times, abs=1e-3)
    assert [round(float(one.array().mean()) / 50) for one in kept] == [0, 1, 2, 3, 4]
    assert kept[0].array().shape == (48, 64, 3)


def test_one_size_and_none(tmp_path):
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.add(frame(0), 0.0)
        with pytest.raises(InputError, match="a recording has one size"):
            writer.add(frame(0, h=80), 0.1)
    with VideoWriter(tmp_path / "b.mp4") as writer:
        pass
    assert writer.frames == 0
