"""Animations: every frame, in time, on one scale, and whole files only."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.draw import Scale, overlay, overlay_frames, save_animation
from isotherm.errors import InputError, MissingExtraError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap

SOURCE = (45, 61)  # odd, both: video formats want even
COMMAND = "isotherm explain clip.mp4 --model resnet18"


def maps(n: int = 5) -> Heatmap:
    values = torch.zeros(n, 3, 5)
    for t in range(n):
        values[t, 1, t % 5] = 1.0 + t
    return Heatmap(values, Frame.resize(SOURCE, (3, 5)), "relevance")


def pictures(n: int = 5) -> list[np.ndarray]:
    return [np.full((*SOURCE, 3), 40 + 20 * t, np.uint8) for t in range(n)]


def test_all_frames_have_the_scale_of_the_strongest():
    heatmap = maps()
    frames = list(overlay_frames(heatmap, pictures()))
    for single, picture, frame in zip(heatmap, pictures(), frames, strict=True):
        np.testing.assert_array_equal(frame, overlay(single, picture, scale=Scale(0.0, 5.0)))
    assert (frames[0] != overlay(heatmap[0], pictures()[0])).any()


def test_a_stream_needs_a_scale_and_is_read_one_by_one():
    with pytest.raises(OptionError, match="scale="):
        overlay_frames(iter(maps()), pictures())
    read = []

    def stream():
        for t, picture in enumerate(pictures()):
            read.append(t)
            yield picture

    frames = overlay_frames(iter(maps()), stream(), scale=Scale(0.0, 5.0))
    assert read == []
    next(frames)
    assert read == [0]


@pytest.mark.parametrize(("given", "words"), [(4, "no picture"), (6, "no heatmap")])
def test_frames_and_maps_must_be_as_many(given, words):
    with pytest.raises(ShapeError, match=words):
        list(overlay_frames(maps(), pictures(given)))
    with pytest.raises(ShapeError, match="no boxes entry"):
        list(overlay_frames(maps(), pictures(), boxes=[None] * 3))


def test_a_gif_has_every_frame_at_its_time(tmp_path):
    fpath = save_animation(pictures(7), tmp_path / "a.gif", fps=30)
    with Image.open(fpath) as image:
        assert image.n_frames == 7
        ends, total = [], 0
        for t in range(7):
            image.seek(t)
            total += image.info["duration"]
            ends.append(total)
            assert abs(int(np.asarray(image.convert("RGB"))[20, 20, 0]) - (40 + 20 * t)) <= 1
    assert ends == [30, 70, 100, 130, 170, 200, 230]  # 33.3 ms each, to the hundredth of a second, without drift


@pytest.mark.parametrize(
    ("times_s", "error", "words"),
    [([0.0, 0.2, 0.2], OptionError, "frame 2 is shown at 0.2 s"), ([0.0, 0.2], ShapeError, "a time for each frame")],
)
def test_times_belong_to_frames_and_grow(tmp_path, times_s, error, words):
    with pytest.raises(error, match=words):
        save_animation(pictures(3), tmp_path / "a.gif", times_s=times_s)
    assert not (tmp_path / "a.gif").exists()


def test_an_mp4_has_every_frame_colour_and_the_command(tmp_path):
    import av

    colours = [
        np.broadcast_to(np.array(c, np.uint8), (*SOURCE, 3)).copy()
        for c in ([200, 40, 40], [40, 200, 40], [40, 40, 200])
    ]
    fpath = save_animation(iter(colours), tmp_path / "a.mp4", fps=10, command=COMMAND)
    with av.open(str(fpath)) as container:
        assert container.metadata["comment"] == COMMAND
        stream = container.streams.video[0]
        assert stream.average_rate == 10
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
    assert len(frames) == 3
    assert frames[0].shape[0] % 2 == frames[0].shape[1] % 2 == 0
    assert frames[0].shape[1] >= SOURCE[1]
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame[20, 20].astype(int) - colour[20, 20]).max() <= 12
    assert (frames[0][SOURCE[0] + 4 :] < 160).any()  # the command below the picture


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_a_failing_stream_leaves_nothing(tmp_path, suffix):
    def broken():
        yield from pictures(3)
        raise RuntimeError("camera gone")

    with pytest.raises(RuntimeError, match="camera gone"):
        save_animation(broken(), tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_large_frames_are_made_smaller(tmp_path):
    with Image.open(save_animation([np.zeros((300, 600, 3), np.uint8)], tmp_path / "a.gif", side=100)) as image:
        assert image.size == (100, 50)


def test_without_pyav_an_mp4_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"isotherm\[video\]"):
        save_animation(pictures(), tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frames", "name", "options", "error", "words"),
    [
        ([], "a.gif", {}, InputError, "no frames"),
        (pictures(1), "a.avi", {}, InputError, "gif or .mp4"),
        (pictures(1), "a.gif", {"fps": 0}, OptionError, "above 0"),
        (pictures(1), "nowhere/a.gif", {}, InputError, "no folder"),
        ([*pictures(1), np.zeros((8, 8, 3), np.uint8)], "a.gif", {}, ShapeError, "frame 1 is 8 x 8"),
    ],
)
def test_mistakes_are_explained(tmp_path, frames, name, options, error, words):
    with pytest.raises(error, match=words):
        save_animation(frames, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []
