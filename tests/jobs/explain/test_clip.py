"""``isotherm explain`` of a video: one clip with a map per moment by a model that sees several, else frame by frame."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from isotherm.cli import main
from isotherm.draw import overlay, shared_scale
from isotherm.draw.sheet import add_title
from isotherm.heatmap import Heatmap
from rigs.videos import write_clip

R3D = ("--model", "r3d_18", "--weights", "none", "--size", "32", "--trust", "off", "--layer", "layer3")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", frames=12, rate=10)
    return tmp_path


def test_a_video_becomes_maps_over_all_of_its_frames(place, capsys):
    av = pytest.importorskip("av")
    assert main(["explain", "clip.mp4", *R3D, "--class", "3,5", "--out", "out"]) == 0
    out = place / "out"
    (item,) = [json.loads(line) for line in (out / "items.jsonl").read_text().splitlines()]
    assert item["status"] == "done"
    assert len(item["maps"]) == 2
    facts = item["maps"][0]
    # 16 frames are fed of 12; four moments at fed frames 0, 4, 8 and 12
    assert facts["moments"]["frames"] == [[0, 1.875], [1.875, 4.875], [4.875, 7.875], [7.875, 12]]
    np.testing.assert_allclose(facts["moments"]["times_s"], np.array(facts["moments"]["frames"]) / 10, atol=1e-6)
    maps = [Heatmap.load(fpath) for fpath in sorted(out.glob("*.npz"))]
    assert [m.values.shape for m in maps] == [(4, 4, 4)] * 2
    moment, row, column = np.unravel_index(int(maps[0].values.argmax()), (4, 4, 4))
    assert facts["statistics"]["peak_moment"] == moment
    at = maps[0].frame.to_source.numpy() @ (column + 0.5, row + 0.5, 1)
    np.testing.assert_allclose(facts["statistics"]["peak_xy"], at, atol=0.01)
    videos = sorted(out.glob("*.mp4"))
    assert len(videos) == 2
    with av.open(str(videos[0])) as back:
        assert sum(1 for _ in back.decode(video=0)) == 12
        assert float(back.streams.video[0].average_rate) == 10
    sheets = sorted(out.glob("*.jpg"))
    assert len(sheets) == 2
    with Image.open(sheets[0]) as sheet:
        assert sheet.width > 4 * 100  # four moments beside each other or in rows of tiles
    report = (out / "report.html").read_text()
    assert report.count("0.19 to 0.49 s") >= 2  # 1.875 to 4.875 tenths of a second, of both classes
    assert "16, some more than once" in capsys.readouterr().err.replace("\n", " ")


def test_a_part_of_the_frames_and_a_picture_beside(place, capsys):
    Image.new("RGB", (64, 48)).save("photo.png")
    assert main(["explain", "clip.mp4", "photo.png", *R3D, "--every", "2", "--max-frames", "4", "--out", "out"]) == 1
    items = [json.loads(line) for line in (place / "out" / "items.jsonl").read_text().splitlines()]
    assert [item["status"] for item in items] == ["done", "failed"]
    np.testing.assert_allclose(items[0]["maps"][0]["moments"]["times_s"][-1][1], 0.8, atol=1e-6)
    assert "give a video" in capsys.readouterr().err.replace("\n", " ")


def test_maps_of_whole_frames_have_no_boxes_to_renormalise(place):
    assert main(["explain", "clip.mp4", *R3D, "--class", "3", "--renormalise", "--out", "out"]) == 2
    assert not list((place / "out").glob("*.npz"))


def films(folder):
    """The frames of each film in a folder, by its name."""
    av = pytest.importorskip("av")
    frames = {}
    for fpath in sorted(folder.glob("*.mp4")):
        with av.open(str(fpath)) as film:
            assert film.streams.video[0].codec_context.name == "h264"
            frames[fpath.name] = [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]
    return frames


def test_a_video_of_an_image_model_has_raw_maps_beside_it_that_are_named_in_the_record(place):
    write_clip(place / "clip.mp4", frames=4, rate=10, h=120, w=160, codec="libx264")
    assert (
        main(["explain", "clip.mp4", "--model", "scenes", "--class", "gear,ring", "--trust", "off", "--out", "out"])
        == 0
    )
    items = [json.loads(line) for line in (place / "out" / "items.jsonl").read_text().splitlines()]
    assert [len(item["files"]) for item in items] == [2, 2, 2, 2]
    for item in items:
        for facts, fname in zip(item["maps"], item["files"], strict=True):
            heatmap = Heatmap.load(place / "out" / fname)
            assert (heatmap.label, heatmap.frame.source_size.tolist()) == (facts["label"], [120, 160])
            assert float(heatmap.values.max()) == pytest.approx(facts["statistics"]["max"])
    assert {len(frames) for frames in films(place / "out").values()} == {4}


def test_a_video_without_raw_maps_has_none(place):
    assert main(["explain", "clip.mp4", "--model", "scenes", "--trust", "off", "--raw", "none", "--out", "out"]) == 0
    assert {fpath.suffix for fpath in (place / "out").iterdir()} == {".mp4", ".html", ".json", ".jsonl"}


@pytest.mark.parametrize("model", [("scenes", "--class", "gear"), ("r3d_18", *R3D[2:], "--class", "3")])
def test_each_frame_of_a_film_stands_under_its_time(place, model):
    still = {"frames": 6, "rate": 10, "h": 240, "w": 320, "codec": "libx264"}
    write_clip(place / "clip.mp4", **still)
    options = [*model, "--trust", "off"] if model[0] == "scenes" else [*model]
    assert main(["explain", "clip.mp4", "--model", *options, "--every", "2", "--out", "out"]) == 0
    (frames,) = films(place / "out").values()
    assert len({frame.shape for frame in frames}) == 1
    strips = {f"0.{i}0 s": np.asarray(add_title(Image.new("RGB", (320, 1)), f"0.{i}0 s", lines=1)) for i in range(6)}
    words = [strip[:-1, :46].astype(int) for strip in strips.values()]  # the time alone, as wide as it is at this size
    read = [int(np.argmin([np.abs(frame[: len(word), :46] - word).mean() for word in words])) for frame in frames]
    assert read == [0, 2, 4]


def test_frames_have_the_colours_of_the_page_with_what_speaks_against(place):
    write_clip(place / "clip.mp4", frames=2, rate=10, h=240, w=320, codec="libx264")
    assert main(["explain", "clip.mp4", "--model", "scenes", "--class", "gear", "--trust", "off", "--out", "out"]) == 0
    (frames,) = films(place / "out").values()
    maps = [Heatmap.load(fpath) for fpath in sorted((place / "out").glob("*.npz"))]
    scale = shared_scale(maps)
    assert scale.low < 0  # evidence against, which was left out of films alone
    page = (place / "out" / "report.html").read_text()
    assert page.count(f'"low":{scale.low},"high":{scale.high},') == 2
    with pytest.importorskip("av").open(str(place / "clip.mp4")) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    for heatmap, picture, frame in zip(maps, pictures, frames, strict=True):
        want = np.asarray(overlay(heatmap, picture, scale=scale)).astype(int)
        top = np.asarray(add_title(Image.new("RGB", (320, 1)), "0.00 s", lines=1)).shape[0] - 1
        assert np.abs(frame[top : top + 240, :320] - want).mean() < 4  # of 255, after two codecs


def test_a_film_for_each_method(place):
    write_clip(place / "clip.mp4", frames=2, rate=10, h=96, w=128, codec="libx264")
    options = ["--model", "scenes", "--compare", "hirescam,gradcam", "--trust", "off", "--out", "out"]
    assert main(["explain", "clip.mp4", *options]) == 0
    assert list(films(place / "out")) == ["clip.GradCAM.mp4", "clip.HiResCAM.mp4"]
