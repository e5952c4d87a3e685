"""A recording that does not go with a clip says so, and one of a smaller copy is scaled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.cam.clips import Clip
from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.points_store import read_points, write_points
from isotherm.data.gaze.scaled_store import fitted_store
from isotherm.errors import InputError
from isotherm.gaze.view import gaze_remarks

SECONDS = np.arange(8) / 8
PLACES = np.stack([np.linspace(10, 80, 8), np.linspace(5, 40, 8)], -1)


class View:
    """Of a model that takes gaze."""

    def __init__(self, gaze):
        self.gaze = gaze


def store(tmp_path, seconds=SECONDS, places=PLACES, size=(48, 96), video="clip.mp4"):
    return read_points(write_points(GazeRecording.of(seconds, places, size=size), tmp_path / "g.parquet", video=video))


def clip(frames=8):
    return Clip(np.zeros((frames, 48, 96, 3), np.uint8), tuple(i / 8 for i in range(frames + 1)))


def test_nothing_is_said_where_everything_fits(tmp_path):
    assert gaze_remarks(View(store(tmp_path)), clip(), "clip.mp4") == []
    assert gaze_remarks(View(None), clip(), "clip.mp4") == []
    assert gaze_remarks(object(), clip(), "clip.mp4") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"video": "kitchen.mp4"}, "g.parquet says that it is of kitchen, and this is clip.mp4"),
        ({"size": (24, 48), "places": PLACES / 2}, "of a picture of 48 x 24 pixels and is scaled to 96 x 48"),
        ({"seconds": SECONDS + 100}, "knows nothing of this clip, which lasts from 0 to 1 s; it has samples from 100"),
        ({"seconds": SECONDS[:5], "places": PLACES[:5]}, "knows nothing of 2 of the clip's 8 frames"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, changes, words):
    (remark,) = gaze_remarks(View(store(tmp_path, **changes)), clip(), "clip.mp4")
    assert words in remark


def test_a_recording_of_a_copy_is_scaled_and_one_of_another_shape_refused(tmp_path):
    half = store(tmp_path, places=PLACES / 2, size=(24, 48))
    fitted = fitted_store(half, (48, 96), "clip.mp4")
    torch.testing.assert_close(fitted.clip(SECONDS).xy, torch.from_numpy(PLACES))
    assert fitted_store(half, (24, 48), "clip.mp4") is half
    with pytest.raises(InputError, match=r"g\.parquet is of a picture of 48 x 24 pixels, and clip\.mp4 has 96 x 96"):
        fitted_store(half, (96, 96), "clip.mp4")
