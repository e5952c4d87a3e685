"""Gaze goes through the same frame as its picture: the pixel that was looked at stays under the gaze."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.data.gaze import GazeRecording, GazeState
from isotherm.data.gaze.clip import GazeClip
from isotherm.errors import FrameError, ShapeError
from isotherm.frame import Frame
from isotherm.ops.resample import to_frame

T, M, OUT = (int(s) for s in GazeState)
SIZE = (48, 64)
NAN = float("nan")


def clip_of(places):
    recording = GazeRecording.of(np.arange(len(places)) / 8, places, size=SIZE)
    return GazeClip.of_samples(recording.at(recording.time_s, window_s=0.01), SIZE)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("crop"), st.integers(-4, 20), st.integers(-4, 14)),
        st.tuples(st.just("flip"), st.sampled_from(["horizontal", "vertical"])),
        st.tuples(st.just("rotate"), st.floats(-40, 40)),
        st.tuples(st.just("resize"), st.integers(16, 80), st.integers(16, 80)),
        st.tuples(st.just("letterbox")),
    ),
    max_size=4,
)


def frame_of(steps):
    """Crop, flip, turn and resize in any order, as augmentation makes them."""
    frame = Frame.identity(SIZE)
    for name, *numbers in steps:
        h, w = frame.size
        if name == "crop":
            x, y = numbers
            frame = frame.cropped((x, y, x + max(4, w * 2 // 3), y + max(4, h * 2 // 3)))
        elif name == "flip":
            frame = frame.flipped(*numbers)
        elif name == "rotate":
            frame = frame.rotated(*numbers)
        elif name == "resize":
            frame = frame.resized(numbers)
        else:
            frame = frame.letterboxed((56, 56))
    return frame


@settings(max_examples=60, deadline=None)
@given(STEPS, st.floats(4, SIZE[1] - 4), st.floats(4, SIZE[0] - 4))
def test_a_bright_dot_at_the_gaze_stays_under_the_gaze(steps, x, y):
    frame = frame_of(steps)
    clip = clip_of([[x, y]]).through(frame)
    # a wide dot: the sampling of a narrow one moves its centre of mass
    rows, columns = torch.meshgrid(*(torch.arange(n) + 0.5 for n in SIZE), indexing="ij")
    picture = torch.exp(-((columns - x).square() + (rows - y).square()) / (2 * 1.5**2)).double()
    seen = to_frame(picture, Frame.identity(SIZE), frame)
    at = clip.cells[0]
    h, w = frame.size
    inside = bool(((at >= 0) & (at <= torch.tensor([w, h]))).all())
    assert clip.state.tolist() == [T if inside else OUT]
    scale = float(torch.linalg.svdvals(frame.from_source[:, :2]).max())
    margin = 6 * max(scale, 1)
    if margin < at[0] < w - margin and margin < at[1] < h - margin:
        ys, xs = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in frame.size), indexing="ij")
        mass = seen.sum()
        found = torch.stack([(seen * xs).sum() / mass, (seen * ys).sum() / mass])
        assert float((found - at).norm()) < 0.35


def test_the_dot_test_would_see_a_flip_of_the_video_alone():
    clip = clip_of([[10.0, 10.0]])
    flipped = clip.through(Frame.identity(SIZE).flipped())
    assert flipped.cells.tolist() == [[54.0, 10.0]]
    assert clip.cells.tolist() == [[10.0, 10.0]]


def test_gaze_that_leaves_the_crop_is_out_of_frame_and_comes_back_with_a_wider_one():
    clip = clip_of([[10.0, 10.0], [40.0, 30.0], [NAN, NAN], [70.0, 10.0]])
    assert clip.state.tolist() == [T, T, M, OUT]
    cropped = clip.through(Frame.identity(SIZE).cropped((0, 0, 20, 20)))
    assert cropped.state.tolist() == [T, OUT, M, OUT]
    assert cropped.through(Frame.identity(SIZE)).state.tolist() == [T, T, M, OUT]
    torch.testing.assert_close(cropped.xy, clip.xy, equal_nan=True)


def test_padding_is_no_picture():
    # beside the picture, and yet on the raster of the model
    clip = clip_of([[32.0, -2.0]]).through(Frame.letterbox(SIZE, (64, 64)))
    assert 0 < float(clip.cells[0, 1]) < 8
    assert clip.state.tolist() == [OUT]


def test_maps_go_through_as_pictures_do():
    grid = Frame.resize(SIZE, (12, 16))
    maps = torch.rand(2, 12, 16)
    clip = clip_of([[10.0, 10.0], [60.0, 40.0]])
    clip = GazeClip(clip.time_s, clip.xy, clip.state, clip.confidence, maps, grid)
    target = Frame.identity(SIZE).cropped((8, 4, 56, 44)).flipped().resized((10, 12))
    moved = clip.through(target)
    torch.testing.assert_close(moved.maps, to_frame(maps, grid, target))
    assert moved.state.tolist() == [T, OUT]
    assert clip.through(grid).maps.equal(maps)
    each = Frame.stack([target, target.flipped()])
    several = clip.through(each)
    torch.testing.assert_close(several.maps[1], to_frame(maps[1], grid, target.flipped()))
    torch.testing.assert_close(several.cells[1], target.flipped().points_from_source(clip.xy[1:])[0])


def test_missing_is_missing_in_every_frame():
    clip = GazeClip.missing(torch.arange(3, dtype=torch.float64), SIZE, notes=("no file",))
    assert clip.through(Frame.resize(SIZE, (4, 4))).state.tolist() == [M, M, M]
    assert clip.notes == ("no file",)
    assert clip.maps is None


def test_frames_of_other_videos_are_refused(unchecked):
    clip = clip_of([[1.0, 1.0]])
    with pytest.raises(FrameError, match="one size, that of the video"):
        clip.through(Frame.identity((10, 10)))
    with pytest.raises(FrameError, match="batch"):
        clip.through(Frame.identity(SIZE).expanded(2))
    with pytest.raises(ShapeError, match="maps has shape"):
        GazeClip(clip.time_s, clip.xy, clip.state, clip.confidence, torch.zeros(1, 3, 3), clip.frame)
