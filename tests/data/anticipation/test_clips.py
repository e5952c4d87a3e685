"""The frames and the gaze of clips from real files, and that nothing of the future is in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.data.anticipation.actions import Action
from isotherm.data.anticipation.anchors import ClipPlan
from isotherm.data.anticipation.clips import gaze_until, read_clip
from isotherm.data.anticipation.transforms import ClipTransform
from isotherm.data.gaze.clock import read_clock
from isotherm.data.gaze.points_store import PointsStore
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.store import MapOptions
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.data.video_seek import frames_near
from isotherm.errors import InputError, OptionError
from rigs.gaze import maps_of
from rigs.videos import number_in, numbered_clip, turn_clip

pytest.importorskip("av", reason="PyAV is not installed")
SIZE = (48, 96)
SHOWN = np.arange(240) * 1001 / 60_000
PLAN = ClipPlan(frames=8, rate_hz=8.0, anticipation_s=(1.0, 1.0))
ACTION = Action("a", 3.0, 3.5, 0, 0)
PREFIX = {"x264-params": "bframes=0:rc-lookahead=0:sync-lookahead=0:scenecut=0:mbtree=0:threads=1", "qp": "20"}
"""Without a look ahead, so that what comes later changes no frame before it."""


def recording(rate_hz=60.0, *, poisoned_s=np.inf, seconds=4.0, size=SIZE):
    """Gaze that wanders; from a moment on it is somewhere else."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    xy = np.stack([48 + 40 * np.sin(2 * t), 24 + 15 * np.cos(3 * t)], -1)
    xy[t >= poisoned_s] = (5.0, 5.0)
    return GazeRecording.of(t, xy, size=size)


def store_of(gaze, tmp_path):
    return PointsStore(gaze, tmp_path / "a.parquet")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two videos that differ from the clip's end on, at the frame of 2 s, and nowhere before."""
    folder, end = tmp_path_factory.mktemp("videos"), int(np.searchsorted(SHOWN, 2.0 + 1e-9))
    return [
        numbered_clip(folder / f"{name}.mp4", SHOWN, ticks=60_000, options=PREFIX, colour_from=first)
        for name, first in (("clean", None), ("poisoned", end))
    ]


def test_a_clip_has_the_frames_of_its_moments_and_the_gaze_at_them(videos, tmp_path):
    planned, gaze = PLAN.planned(ACTION, 0), recording()
    clip = read_clip(videos[0], planned, gaze=store_of(gaze, tmp_path))
    numbers = [number_in(frame.permute(1, 2, 0).numpy()) for frame in clip.video]
    np.testing.assert_allclose(clip.time_s, SHOWN[numbers], atol=1e-5)
    assert np.abs(clip.time_s.numpy() - planned.time_s).max() <= 0.5 / 59.94 + 1e-6
    assert clip.end_s == 2.0
    assert float(clip.before_s.max()) < -0.11
    assert clip.gaze is not None
    np.testing.assert_array_equal(clip.gaze.time_s, clip.time_s)
    nearest = gaze.at(clip.time_s.numpy(), window_s=0.02)
    np.testing.assert_array_equal(clip.gaze.xy, nearest.xy)
    assert (clip.gaze.state == GazeState.TRACKED).all()


@pytest.mark.parametrize("rate", [60.0, 7.0, 240.0])
@pytest.mark.parametrize("protocol", ["start", "at its very end"])
def test_nothing_of_the_future_is_in_a_clip(videos, tmp_path, rate, protocol):
    """Videos and recordings that differ behind the clip's end alone give the same clip, to the bit."""
    planned = PLAN.planned(ACTION, 0)
    if protocol != "start":  # the last frame at the end itself, where samples around it would be from behind
        planned = type(planned)(planned.time_s + 0.125, 2.0, 1.0, 0, planned.inside)
    clips = [
        read_clip(video, planned, gaze=store_of(recording(rate, poisoned_s=since), tmp_path))
        for video, since in zip(videos, (np.inf, 2.0 + 1e-6), strict=True)
    ]
    later = [frames_near(video, [2.02])[0].array() for video in videos]
    assert (later[0] != later[1]).any()
    transform = ClipTransform(size=(32, 32), degrees=10.0)
    inputs = [transform(clip, 3, epoch=1) for clip in clips]
    for get in (
        lambda i: clips[i].video,
        lambda i: clips[i].time_s,
        lambda i: clips[i].gaze.xy,
        lambda i: clips[i].gaze.state,
        lambda i: clips[i].gaze.confidence,
        lambda i: inputs[i].video,
        lambda i: inputs[i].gaze.cells,
        lambda i: inputs[i].gaze.state,
        lambda i: inputs[i].before_s,
    ):
        assert torch.equal(torch.nan_to_num(get(0), nan=-9.0), torch.nan_to_num(get(1), nan=-9.0))
    assert clips[0].gaze.notes == clips[1].gaze.notes


def test_nothing_of_the_future_is_in_maps_either(tmp_path):
    """As maps in an npz, where a window of one and a half samples reaches behind the end."""
    times = np.array([1.5, 1.9, 1.98])
    clips = []
    for since in (np.inf, 2.0 + 1e-6):
        gaze = recording(10.0, poisoned_s=since)
        np.savez(tmp_path / "a.npz", maps_of(gaze))
        store = open_gaze_store(tmp_path / "a.npz", options=MapOptions(size=SIZE, rate_hz=10.0))
        store.window_s = 0.15
        clips.append(gaze_until(store, times, 2.0))
    # 1.98 is nearest to the map of 2.0, the last that may speak
    assert (clips[0].state == GazeState.TRACKED).tolist() == [True, True, True]
    assert (store.clip(times + 0.08).xy != clips[0].xy).any()
    for name in ("xy", "state", "confidence", "maps"):
        assert torch.equal(getattr(clips[0], name), getattr(clips[1], name))


def test_a_sample_at_the_end_itself_speaks_and_one_behind_it_does_not(tmp_path):
    gaze = GazeRecording.of([0.0, 1.0, 2.0], [[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]], size=SIZE)
    store = store_of(gaze, tmp_path)
    store.window_s = 0.6
    times = np.array([0.4, 1.0, 1.5])
    assert gaze_until(store, times, 1.0 + 1e-9).state.tolist()[:2] == [0, 0]
    at_end = gaze_until(store, np.array([0.55, 0.9]), 0.95)
    assert at_end.state.tolist() == [GazeState.MISSING, GazeState.MISSING]
    assert store.clip([0.55, 0.9]).state.tolist() == [0, 0]


def test_frames_are_shrunk_and_the_frame_says_so(videos, tmp_path):
    planned = PLAN.planned(ACTION, 0)
    small = read_clip(videos[0], planned, short_side=24, gaze=store_of(recording(), tmp_path))
    assert small.video.shape == (8, 3, 24, 48)
    assert small.frame.size == (24, 48)
    assert small.frame.source_size.tolist() == [48, 96]
    whole = read_clip(videos[0], planned, short_side=400)
    assert whole.video.shape == (8, 3, 48, 96)
    assert whole.gaze is None
    with pytest.raises(OptionError, match="at least 1 pixel"):
        read_clip(videos[0], planned, short_side=0)


def test_a_clip_of_a_turned_video_is_upright(videos, tmp_path):
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(videos[0].read_bytes())
    clip = read_clip(turn_clip(turned, h=48), PLAN.planned(ACTION, 0), short_side=24)
    assert clip.video.shape == (8, 3, 48, 24)
    assert clip.frame.source_size.tolist() == [96, 48]


def test_a_video_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        read_clip(tmp_path / "nowhere.mp4", PLAN.planned(ACTION, 0))


def test_legacy_clips_are_read_alike(videos):
    action = Action("a", 1.5, 3.5, 0, 0, start_frame=90, stop_frame=210)
    planned = ClipPlan(frames=8, protocol="legacy").planned(action, 0, video_rate_hz=60_000 / 1001)
    clip = read_clip(videos[0], planned)
    step, anchor = 7, 210 - 59
    numbers = [number_in(frame.permute(1, 2, 0).numpy()) for frame in clip.video]
    assert numbers == list(range(anchor - 8 * step, anchor, step))


def test_legacy_clips_of_a_video_of_variable_rate_count_its_frames(tmp_path):
    shown = np.concatenate([[0], np.cumsum(np.random.default_rng(2).choice([1 / 60, 1 / 24, 0.1], 199))])
    fpath = numbered_clip(tmp_path / "uneven.mp4", shown)
    action = Action("a", 1.5, 3.5, 0, 0, start_frame=90, stop_frame=190)
    clock = read_clock(fpath)
    planned = ClipPlan(frames=8, protocol="legacy").planned(
        action, 0, video_rate_hz=clock.mean_rate_hz, frame_times_s=clock.time_s
    )
    numbers = [number_in(frame.permute(1, 2, 0).numpy()) for frame in read_clip(fpath, planned).video]
    step, anchor = int(clock.mean_rate_hz / 8), 190 - int(clock.mean_rate_hz)
    assert step > 1
    assert numbers == list(range(anchor - 8 * step, anchor, step))
