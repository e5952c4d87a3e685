"""Looking at videos that were sent: frames for people, and a time line that stays small whatever the video is."""

from __future__ import annotations

import io

import pytest
from PIL import Image

pytest.importorskip("av", reason="PyAV is not installed")

from isotherm.errors import InputError
from isotherm.studio.desk.videos import THUMB_HEIGHT, THUMB_WIDTH, frame, look, strip
from rigs.videos import turn_clip, write_clip


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_frames_are_upright_and_no_larger_than_wanted(tmp_path):
    clip = turn_clip(write_clip(tmp_path / "a.mp4", frames=3, h=96, w=128), h=96)
    assert (look(str(clip))["h"], look(str(clip))["w"]) == (128, 96)
    content, at_s = frame(str(clip), 0.15, side=None, form="PNG")
    assert (opened(content).format, opened(content).size, round(at_s, 3)) == ("PNG", (96, 128), 0.1)
    assert opened(frame(str(clip), 0.0, side=64, form="JPEG")[0]).size == (48, 64)
    assert opened(strip(str(clip), 4, 0.3)).size == (4 * 54, THUMB_HEIGHT)


def test_a_very_wide_video_has_a_narrow_time_line(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", frames=2, h=16, w=2048)
    assert opened(strip(str(clip), 3, 0.2)).size == (3 * THUMB_WIDTH, THUMB_HEIGHT)


def test_what_is_missing_is_said_at_once(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", frames=20)
    clip.write_bytes(clip.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"a\.mkv was cut short: 100 bytes are missing at its end"):
        look(str(clip))
