"""Frames come upright, at their times, and a file that breaks off says so."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from av.video import reformatter

from isotherm.data.sources import expand
from isotherm.data.video import FrameChoice, camera, count_frames, probe_video, read_frames
from isotherm.errors import InputError, MissingExtraError, OptionError
from rigs.videos import turn_clip, write_clip


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4")


def corners(array):
    return [array[4, 4], array[4, -4], array[-4, 4], array[-4, -4]]


def test_frames_and_times(clip):
    frames = list(read_frames(clip))
    assert [f.index for f in frames] == list(range(12))
    assert [f.time_s for f in frames] == pytest.approx([i / 10 for i in range(12)])
    expected = np.array([(250, 20, 20), (0, 0, 0), (0, 0, 0), (140, 140, 140)])
    assert frames[7].array().shape == (48, 64, 3)
    assert np.abs(np.array(corners(frames[7].array()), int) - expected).max() <= 8
    info = probe_video(clip)
    assert (info.size, info.frames, info.duration_s, info.rate_hz) == (
        (48, 64),
        12,
        pytest.approx(1.2),
        pytest.approx(10),
    )
    assert count_frames(clip) == 12


def test_each_nth_frame_up_to_a_number(clip):
    assert [f.index for f in read_frames(clip, every=5)] == [0, 5, 10]
    assert [f.index for f in read_frames(clip, every=5, max_frames=2)] == [0, 5]
    for every in (1, 2, 5, 11, 12, 13):
        for most in (None, 1, 3, 99):
            choice = FrameChoice(every=every, max_frames=most)
            assert count_frames(clip, choice) == len(list(read_frames(clip, every=every, max_frames=most)))
    assert FrameChoice(every=2, max_frames=3).expected(None, 10.0) is None


def test_a_range_of_seconds(clip):
    assert [f.index for f in read_frames(clip, start_s=0.3, end_s=0.6)] == [3, 4, 5]
    assert [f.index for f in read_frames(clip, start_s=0.35, every=4)] == [4, 8]
    assert [f.index for f in read_frames(clip, end_s=0.25)] == [0, 1, 2]
    for start_s, end_s in ((0.0, None), (0.3, 0.6), (0.35, None), (0.0, 0.25), (1.0, 99.0), (1.15, 1.2)):
        for every in (1, 4):
            choice = FrameChoice(every=every, start_s=start_s, end_s=end_s)
            count = len(list(read_frames(clip, every=every, start_s=start_s, end_s=end_s))) if start_s < 1.15 else 0
            assert count_frames(clip, choice) == count
    assert FrameChoice(start_s=1.0).expected(12, None) is None
    with pytest.raises(InputError, match=r"no frame from 5 s to 6 s; the last one that was read is at 1\.10 s"):
        list(read_frames(clip, start_s=5, end_s=6))
    for wrong in ({"start_s": -1.0}, {"start_s": float("nan")}, {"start_s": 2.0, "end_s": 2.0}, {"every": 0}):
        with pytest.raises(OptionError, match="expected"):
            FrameChoice(**wrong)


def test_a_phone_video_is_turned(clip):
    turn_clip(clip)
    assert probe_video(clip).size == (64, 48)
    array = next(read_frames(clip)).array()
    assert array.shape == (64, 48, 3)
    assert np.abs(np.array(corners(array), int) - [(0, 0, 0), (250, 20, 20), (0, 0, 0), (0, 0, 0)]).max() <= 8
    assert array.flags.c_contiguous


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_a_cut_file_gives_its_frames_and_then_says_so(tmp_path, name):
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    whole = write_clip(tmp_path / name, frames=30, options=options)
    assert len(list(read_frames(whole))) == 30
    content = whole.read_bytes()
    whole.write_bytes(content[: int(len(content) * 0.85)])
    frames = read_frames(whole)
    given = 0
    with pytest.raises(InputError, match=r"breaks off after \d+ frames: \d+ bytes are missing"):  # noqa: PT012
        for _ in frames:
            given += 1
    assert 0 < given <= 30


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"not a video at all, only words", "cannot be opened as a video"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "cannot be opened as a video"),
        (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
            "cannot be opened as a video",
        ),
        (b"\0\0\0\x20ftypisom" + b"\0" * 100, "cannot be opened as a video"),
        (b"RIFF\xff\xff\xff\x7fAVI LIST" + b"\0" * 50, "cannot be opened as a video"),
        (b"\x1aE\xdf\xa3\x01" + b"\0" * 50, "cannot be opened as a video"),
    ],
)
def test_what_is_not_a_video(tmp_path, content, words):
    fpath = tmp_path / "a.mp4"
    fpath.write_bytes(content)
    with pytest.raises(InputError, match=words):
        probe_video(fpath)
    with pytest.raises(InputError, match=words):
        next(read_frames(fpath))


def test_sound_alone_is_no_video(tmp_path):
    import av

    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(InputError, match="no picture track"):
        probe_video(tmp_path / "a.wav")


def test_wrong_options(clip):
    with pytest.raises(OptionError, match="every is 0"):
        read_frames(clip, every=0)
    with pytest.raises(OptionError, match="max_frames is -1"):
        read_frames(clip, max_frames=-1)
    with pytest.raises(InputError, match="there is no video"):
        next(read_frames("no/such.mp4"))


def test_without_pyav_the_extra_is_named(clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'isotherm\[video\]'"):
        next(read_frames(clip))


@pytest.mark.skipif(sys.platform != "linux", reason="cameras are files under /dev on Linux only")
def test_a_camera_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"there is no camera 99: (this machine has no camera|there are video)"):
        camera(99)


def test_all_frames_of_a_thread_are_scaled_by_one_reformatter(clip, monkeypatch):
    """A frame's own one starts threads for every frame: of 320 x 240 pixels, 2.7 ms of which .1 are work."""
    made, make = [], reformatter.VideoReformatter
    monkeypatch.setattr(reformatter, "VideoReformatter", lambda: made.append(threading.get_ident()) or make())
    with ThreadPoolExecutor(1) as thread:  # this one may have one already
        arrays = thread.submit(lambda: [f.array(size) for f in read_frames(clip) for size in (None, (12, 16))]).result()
    assert len(made) == 1
    assert [array.shape for array in arrays[:2]] == [(48, 64, 3), (12, 16, 3)]


def test_frames_are_the_same_whichever_threads_turn_them_into_pixels(clip):
    sizes = [None, (12, 16), (24, 32), (5, 7)]
    frames = list(read_frames(clip))

    def own(frame, size):
        h, w = size or frame.size
        return frame._frame.reformat(width=w, height=h, format="rgb24", interpolation="AREA").to_ndarray()

    jobs = [(frame, size) for frame in frames for size in sizes] * 4
    with ThreadPoolExecutor(4) as threads:
        arrays = list(threads.map(lambda job: job[0].array(job[1]), jobs))
    for (frame, size), array in zip(jobs, arrays, strict=True):
        np.testing.assert_array_equal(array, own(frame, size))


def test_so_many_pixels_as_are_allowed_are_read_of_a_frame(clip):
    """48 x 64 pixels: one fewer is refused, with what allows it in Python and on the command line."""
    assert len(list(read_frames(clip, max_pixels=48 * 64))) == count_frames(clip, FrameChoice(max_pixels=48 * 64)) == 12
    for read in (
        lambda: list(read_frames(clip, max_pixels=3071)),
        lambda: count_frames(clip, FrameChoice(max_pixels=1)),
    ):
        with pytest.raises(InputError, match=r"is 64 x 48 pixels; at most .* or give max_pixels=3072") as refused:
            read()
        assert refused.value.on_command_line().endswith("or raise --max-pixels to 3072")
    (item,) = list(expand([clip.parent], max_pixels=3071))
    with pytest.raises(InputError) as refused:
        item.load()
    assert "raise --max-pixels to 3072" in refused.value.on_command_line()
