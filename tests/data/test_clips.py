"""Clips from what callers hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.cam.clips import Clip, sampling
from isotherm.data import clips
from isotherm.data.clips import as_clip, edges_of, read_clip
from isotherm.data.video import read_frames
from isotherm.errors import InputError, OptionError, ShapeError
from rigs.videos import write_clip

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        FRAMES,
        list(FRAMES),
        tuple(Image.fromarray(f) for f in FRAMES),
        torch.from_numpy(FRAMES).permute(0, 3, 1, 2),
        (f for f in FRAMES),
        Clip(FRAMES),
    ],
    ids=["array", "list", "pictures", "tensor", "iterator", "clip"],
)
def test_frames_come_through_as_they_are(given):
    clip = as_clip(given)
    np.testing.assert_array_equal(clip.frames, FRAMES)
    assert clip.edges_s is None
    assert clip.size == (24, 32)


def test_a_rate_gives_times():
    assert as_clip(FRAMES, fps=4).edges_s == (0.0, 0.25, 0.5, 0.75, 1.0)
    with pytest.raises(OptionError, match="fps is 0"):
        as_clip(FRAMES, fps=0)


def test_a_video_file_knows_its_times(tmp_path):
    fpath = write_clip(tmp_path / "clip.mp4", frames=12, rate=10)
    for clip in (as_clip(str(fpath)), as_clip(list(read_frames(fpath))), read_clip(fpath)):
        assert clip.frames.shape == (12, 48, 64, 3)
        np.testing.assert_allclose(clip.edges_s, np.arange(13) / 10, atol=1e-6)
    sparse = as_clip(read_frames(fpath, every=3))
    np.testing.assert_allclose(sparse.edges_s, [0, 0.3, 0.6, 0.9, 1.2], atol=1e-6)
    assert read_clip(fpath, max_frames=2).frames.shape[0] == 2
    with pytest.raises(OptionError, match="knows the times"):
        as_clip(fpath, fps=10)


def test_broken_times_are_no_times():
    assert edges_of([0.0, 0.2, 0.1]) is None
    assert edges_of([0.0]) is None
    assert edges_of([0.5], lasts_s=0.25) == (0.5, 0.75)


def test_a_video_of_one_frame_knows_when_it_is(tmp_path):
    clip = read_clip(write_clip(tmp_path / "one.mp4", frames=1, rate=10))
    assert len(clip) == 1
    np.testing.assert_allclose(clip.edges_s, (0.0, 0.1), atol=1e-6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (FRAMES[0], r"a single picture goes as \[picture\]"),
        ("photo.jpg", "is no video"),
        ([], "without frames"),
        ([FRAMES[0], FRAMES[0][:20]], "different sizes"),
        (3, "given as int"),
        (b"abc", "given as bytes"),
    ],
)
def test_what_is_no_clip_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        as_clip(given)


def test_a_clip_that_memory_should_not_hold(tmp_path, monkeypatch):
    fpath = write_clip(tmp_path / "clip.mp4", frames=12)
    monkeypatch.setattr(clips, "MAX_BYTES", 5 * 48 * 64 * 3)
    with pytest.raises(InputError, match="more than 6 frames of 64 x 48"):
        read_clip(fpath)


def test_a_clip_has_pixels_and_times_that_grow():
    with pytest.raises(ShapeError, match="no pixels"):
        Clip(FRAMES[:0])
    with pytest.raises(ShapeError, match="expected 5"):
        Clip(FRAMES, (0.0, 1.0))


@pytest.mark.parametrize(
    ("fed", "fps", "words"),
    [
        (4, None, "all of its 4 frames are fed to the model; their times are not known"),
        (2, 10, "2 of its 4 frames are fed to the model, evenly spread over all of it; it lasts from 0 to 0.4 s"),
        (8, None, "are fed to the model as 8, some more than once"),
    ],
)
def test_the_sampling_is_said(fed, fps, words):
    assert words in sampling(as_clip(FRAMES, fps=fps).timeline(fed))
