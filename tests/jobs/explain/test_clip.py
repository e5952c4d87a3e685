"""``isotherm explain`` of a video with a model that sees several moments: one clip, a map per moment."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from isotherm.cli import main
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
