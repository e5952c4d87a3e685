"""Videos that are damaged in their middle: who reads them is told, and when; whole ones are never refused."""

from __future__ import annotations

import re
from fractions import Fraction

import av
import numpy as np
import pytest

from isotherm.data.anticipation.actions import Action
from isotherm.data.anticipation.anchors import ClipPlan
from isotherm.data.anticipation.clips import read_clip as read_planned
from isotherm.data.clips import read_clip
from isotherm.data.gaze.clock import read_clock
from isotherm.data.video import read_frames
from isotherm.data.video_end import damaged_at
from isotherm.data.video_seek import frames_near
from isotherm.errors import InputError
from rigs.videos import numbered_clip, write_clip

FRAMES, RATE = 60, 20
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


def written(fpath, **options):
    """Three seconds of noise, so that all of it weighs alike."""
    generator = np.random.default_rng(0)
    codec = "libx264" if fpath.suffix in (".mp4", ".mkv") else "mpeg4"
    with av.open(str(fpath), "w", options=options) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.codec_context.gop_size = 10
        for _ in range(FRAMES):
            picture = generator.integers(0, 255, (64, 96, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return fpath


def damaged(fpath, how):
    content = fpath.read_bytes()
    half = len(content) // 2
    if how == "cut":
        content = content[: int(0.7 * len(content))]
    elif how == "zeros":
        content = content[:half] + bytes(len(content) - half)  # as long as it was
    else:  # flipped
        changed = bytearray(content)
        for i in (
            np.random.default_rng(1).integers(half, half + len(content) // 5, 20_000).tolist()
        ):  # of fewer, the decoder patches up some
            changed[i] ^= 0x55
        content = bytes(changed)
    fpath.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "options", "how"),
    [
        ("a.mp4", {"movflags": "faststart"}, "cut"),
        ("a.mp4", {"movflags": "faststart"}, "zeros"),
        ("a.mp4", {"movflags": "faststart"}, "flipped"),
        ("fragments.mp4", FRAGMENTS, "cut"),
        ("fragments.mp4", FRAGMENTS, "zeros"),
        ("fragments.mp4", FRAGMENTS, "flipped"),
        ("a.mkv", {}, "cut"),
        ("a.mkv", {}, "zeros"),
        ("a.avi", {}, "cut"),
        ("a.avi", {}, "zeros"),
    ],
)
def test_a_video_that_is_damaged_in_its_middle_is_said_to_break_off(tmp_path, name, options, how):
    fpath = written(tmp_path / name, **options)
    assert len(list(read_frames(fpath))) == FRAMES
    damaged(fpath, how)
    given = []
    with pytest.raises(InputError, match=r"breaks off after \d+ frames|cannot be opened as a video") as raised:  # noqa: PT012
        for frame in read_frames(fpath):
            given.append(frame.time_s)
    words = str(raised.value)
    if how != "cut" and "opened" not in words:
        reached = float(re.search(r" at ([\d.]+) s", words)[1])
        assert reached == pytest.approx(given[-1] + 1 / RATE, abs=0.011)
        assert re.search(r" of \d\.\d\d s", words) or "damaged from byte" in words
    for read in (read_clip, lambda f: frames_near(f, [0.1, 2.9]), read_planned_at_the_end):
        with pytest.raises(InputError, match=r"breaks off|cannot be opened"):
            read(fpath)


def read_planned_at_the_end(fpath):
    """A clip of anticipation that begins before the damage and ends behind it."""
    return read_planned(fpath, ClipPlan(frames=8, rate_hz=4.0).planned(Action("a", 3.9, 4.0, 0, 0), 0))


def test_what_lies_before_the_damage_is_still_read(tmp_path):
    fpath = written(tmp_path / "a.mkv")
    damaged(fpath, "zeros")
    assert [frame.index for frame in frames_near(fpath, [0.1, 0.5])] == [2, 10]
    with pytest.raises(InputError, match=r"at 1\.\d+ s of 3\.00 s"):
        read_clock(fpath)


def test_a_fragment_that_is_gone_is_named_by_its_place(tmp_path):
    fpath = written(tmp_path / "fragments.mp4", **FRAGMENTS)
    assert damaged_at(str(fpath)) is None
    content = fpath.read_bytes()
    at = content.rindex(b"moof", 0, content.rindex(b"moof")) - 4  # the last but one
    fpath.write_bytes(content[:at] + bytes(len(content) - at))
    assert damaged_at(str(fpath)) == at
    with pytest.raises(InputError, match=f"damaged from byte {at:,} on; copy it again, or make a whole file"):
        list(read_frames(fpath))
    assert damaged_at(str(written(tmp_path / "a.mkv"))) is None
    assert damaged_at("rtsp://camera") is None


def test_a_last_picture_that_stands_long_is_no_damage(tmp_path):
    for name in ("a.mp4", "a.mkv"):
        fpath = numbered_clip(tmp_path / name, [0.0, 0.1, 0.2, 4.0])
        assert len(list(read_frames(fpath))) == 4
        assert len(read_clock(fpath).time_s) == 4


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_that_goes_on_behind_the_pictures_is_no_damage(tmp_path, name):
    with av.open(str(tmp_path / name), "w") as container:
        pictures, sound = container.add_stream("libx264", rate=RATE), container.add_stream("aac", rate=16_000)
        pictures.height, pictures.width, pictures.pix_fmt = 32, 32, "yuv420p"
        sound.layout = "mono"
        for i in range(10):
            grey = np.full((32, 32, 3), 20 * i, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        for i in range(60):
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            quiet.sample_rate, quiet.pts, quiet.time_base = 16_000, 1024 * i, Fraction(1, 16_000)
            container.mux(sound.encode(quiet))
        for stream in (pictures, sound):
            container.mux(stream.encode())
    assert len(list(read_frames(tmp_path / name))) == 10
    assert len(read_clock(tmp_path / name).time_s) == 10


def test_a_part_that_was_copied_out_of_a_video_is_whole(tmp_path):
    """As editors cut without writing pictures anew: the file holds frames that it says are not to be shown."""
    whole = write_clip(tmp_path / "a.mp4", frames=40, rate=10, codec="libx264")
    with av.open(str(whole)) as source, av.open(str(tmp_path / "part.mp4"), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.pts is not None and packet.pts * stream.time_base < 2:
                packet.pts -= int(0.5 / stream.time_base)  # what lies before 0 is left out by an edit list
                packet.dts -= int(0.5 / stream.time_base)
                packet.stream = copy
                target.mux(packet)
    shown = list(read_frames(tmp_path / "part.mp4"))
    assert 10 <= len(shown) <= 20
    assert len(read_clock(tmp_path / "part.mp4").time_s) >= len(shown)
