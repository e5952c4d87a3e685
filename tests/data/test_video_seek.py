"""Single frames of videos by their moment, in every form of file, and lengths where no header has them."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.data.video import probe_video
from isotherm.data.video_seek import frame_at, frames_at, length_s
from isotherm.errors import InputError
from rigs.videos import write_clip

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
