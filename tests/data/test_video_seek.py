"""Single frames of videos by their moment, in every form of file, and lengths where no header has them."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.data.video import probe_video
from isotherm.data.video_seek import frame_at, frames_at, frames_near, length_s
from isotherm.errors import InputError
from rigs.videos import number_in, numbered_clip, write_clip

pytest.importorskip("av", reason="PyAV is not installed")


def grey(frame) -> int:
    return round(float(frame.array()[-8:, -8:].mean()) / 20)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_the_frame_that_is_shown_at_a_moment(tmp_path, name):
    clip = write_clip(tmp_path / name, frames=12, rate=10)
    times = [0.0, 0.05, 0.1, 0.55, 0.99, 1.1, 99.0, 0.3]
    assert [grey(frame) for frame in frames_at(clip, times)] == [0, 0, 1, 5, 9, 11, 11, 3]
    assert grey(frame_at(clip, 0.7)) == 7
    assert frame_at(clip, 0.75).time_s == pytest.approx(0.7, abs=0.002)


def live_webm(fpath, frames=12):
    """As browsers record: no length in the header, no index, and the first frame not at zero."""
    import av

    with av.open(str(fpath), "w", format="webm", options={"live": "1"}) as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(frames):
            array = np.zeros((48, 64, 3), np.uint8)
            array[24:, 32:] = 20 * i
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
    return fpath


def test_a_browsers_recording_has_its_length_counted_and_its_frames_found(tmp_path):
    clip = live_webm(tmp_path / "a.webm")
    assert probe_video(clip).frames is None
    frames, seconds = length_s(clip)
    assert frames == 12
    assert seconds == pytest.approx(1.2, abs=0.11)
    assert [grey(frame) for frame in frames_at(clip, [0.0, 0.55, 1.1, 50.0, 0.2])] == [0, 5, 11, 11, 2]


def test_what_the_header_says_is_taken(tmp_path):
    assert length_s(write_clip(tmp_path / "a.mp4", frames=12, rate=10)) == (12, pytest.approx(1.2))


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 500)
    with pytest.raises(InputError, match=r"a\.mp4"):
        frame_at(tmp_path / "a.mp4", 0.0)
    with pytest.raises(InputError, match=r"a\.mp4"):
        length_s(tmp_path / "a.mp4")


RATE = 60_000 / 1001
EVEN = np.arange(400) / RATE
UNEVEN = np.cumsum(np.random.default_rng(0).choice([1 / 60, 1 / 30, 1 / 24, 0.1, 0.005], 400)) - 0.005


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """H.264 with frames that are predicted from later ones: at 59.94 frames a second, and unevenly."""
    folder = tmp_path_factory.mktemp("videos")
    uneven = np.round((UNEVEN - UNEVEN[0]) * 90_000) / 90_000
    return {
        "even": (numbered_clip(folder / "even.mp4", EVEN, ticks=60_000), EVEN),
        "uneven": (numbered_clip(folder / "uneven.mkv", uneven), uneven),
    }


@pytest.mark.parametrize("name", ["even", "uneven"])
def test_frames_of_a_clip_are_the_nearest_ones_in_real_files(real, name):
    fpath, shown = real[name]
    rng = np.random.default_rng(1)
    gaps = np.diff(shown, append=shown[-1] + 1)
    for _ in range(6):
        end = rng.uniform(2.2, shown[-1])
        times = [*(end - np.arange(16, 0, -1) / 8), end - 0.3, end - 0.3]
        frames = frames_near(fpath, times, until_s=end)
        for moment, frame in zip(times, frames, strict=True):
            number = number_in(frame.array())
            assert frame.time_s == pytest.approx(shown[number], abs=0.001)  # the clock of Matroska has milliseconds
            around = gaps[max(0, number - 1) : number + 1].max()
            assert abs(shown[number] - moment) <= around / 2 + 0.001
            assert abs(shown[number] - moment) <= np.abs(shown - moment).min() + 0.0011


def test_no_frame_later_than_the_end_is_given_however_near(real):
    fpath, shown = real["uneven"]
    gap = int(np.flatnonzero(np.diff(shown) > 0.09)[5])
    moment = shown[gap + 1] - 0.01
    assert number_in(frames_near(fpath, [moment])[0].array()) == gap + 1
    assert number_in(frames_near(fpath, [moment], until_s=moment)[0].array()) == gap
    assert number_in(frames_near(fpath, [99.0], until_s=shown[7] + 0.001)[0].array()) == 7
    assert [number_in(f.array()) for f in frames_near(fpath, [99.0, 0.0, -3.0], until_s=0.0)] == [0, 0, 0]
    with pytest.raises(InputError, match="its first one is at 0 s"):
        frames_near(fpath, [0.0], until_s=-0.1)


def test_a_clip_is_decoded_once(real, monkeypatch):
    """One seek, and not many more frames than lie between its first and its last moment."""
    import isotherm.data.video_seek as module

    fpath, _ = real["even"]
    seen, opened = [], []

    def counted(*arguments):
        opened.append(arguments)
        for frame in decoded(*arguments):
            seen.append(frame.time_s)
            yield frame

    decoded = module.decoded
    monkeypatch.setattr(module, "decoded", counted)
    frames_near(fpath, (5 - np.arange(8, 0, -1) / 8).tolist())
    assert len(opened) == 1
    assert 7 / 8 * RATE <= len(seen) <= 7 / 8 * RATE + 30 + 2  # up to a whole group of pictures before the first


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_the_nearest_frames_in_every_form_of_file(tmp_path, name):
    clip = write_clip(tmp_path / name, frames=12, rate=10)
    times = [0.0, 0.04, 0.06, 0.56, 1.04, 99.0, 0.31, -1.0]
    assert [grey(frame) for frame in frames_near(clip, times)] == [0, 0, 1, 6, 10, 11, 3, 0]
    assert frames_near(clip, []) == []


def test_the_nearest_frames_of_a_browsers_recording(tmp_path):
    clip = live_webm(tmp_path / "a.webm")
    assert [grey(frame) for frame in frames_near(clip, [0.0, 0.56, 1.1, 50.0, 0.2])] == [0, 6, 11, 11, 2]


def test_frames_are_shrunk_while_they_are_converted(tmp_path):
    frame = frame_at(write_clip(tmp_path / "a.mp4"), 0.5)
    small = frame.array((12, 16))
    assert (frame.size, small.shape) == ((48, 64), (12, 16, 3))
    means = frame.array().reshape(12, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(small - means).max() < 12  # rounding, and edges of chroma
