"""What can be taken along: the very values, pictures that other programs open, tables, and what makes a run again."""

from __future__ import annotations

import csv
import io
import json
import runpy
import shlex
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from isotherm.cli.main import main
from isotherm.data.video import read_frames
from isotherm.draw.save import load_map16, read_command
from isotherm.heatmap import Heatmap
from isotherm.studio.exports.forms import FORMS, file_name
from isotherm.studio.exports.table import safe_cell
from rigs.studio import finished_run, png, saved, send


@pytest.fixture(scope="module")
def scene(studio):
    """A detector's run on a shipped scene."""
    picture = studio.post("/api/samples/scene-1").json()["id"]
    return finished_run(studio, [picture], model="detector")


def exported(studio, run_id, form, **place):
    answer = studio.get(f"/api/runs/{run_id}/export", params={"form": form, **place})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == FORMS[form].kind
    return answer


def raw(studio, run_id, number=0) -> Heatmap:
    view = studio.get(f"/api/runs/{run_id}/view/0").json()
    name = next(name for name in view["maps"][number]["files"] if name.endswith(".npz"))
    return Heatmap.load(studio.history.runs.path(run_id) / name)


def test_values_to_the_last_bit(studio, scene, tmp_path):
    values = raw(studio, scene, 1).values.numpy()
    np.testing.assert_array_equal(np.load(io.BytesIO(exported(studio, scene, "npy", map=1).content)), values)
    (tmp_path / "a.npz").write_bytes(exported(studio, scene, "npz", map=1).content)
    np.testing.assert_array_equal(Heatmap.load(tmp_path / "a.npz").values.numpy(), values)
    (tmp_path / "a.png").write_bytes(exported(studio, scene, "png16", map=1).content)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode.startswith("I")
    np.testing.assert_allclose(load_map16(tmp_path / "a.png").values.numpy(), values, atol=np.ptp(values) / 60_000)


def test_pictures_with_and_without_what_the_map_lies_over(studio, scene, tmp_path):
    over, alone = (Image.open(io.BytesIO(exported(studio, scene, form).content)) for form in ("overlay", "png"))
    assert over.width == alone.width == 640
    assert alone.size == (640, 480)
    over_pixels, alone_pixels = (np.asarray(one.convert("RGB"))[:480].astype(int) for one in (over, alone))
    assert np.abs(over_pixels - alone_pixels).mean() > 5
    (tmp_path / "a.png").write_bytes(exported(studio, scene, "overlay").content)
    assert read_command(tmp_path / "a.png") == "isotherm explain scene-1.jpg --model detector"


def test_several_pictures_become_a_video_and_one_does_not(studio, tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed")
    wide, high = (saved(Image.new("RGB", size, (90, 120, 60))) for size in ((640, 200), (100, 300)))
    ids = [send(studio, data, name) for data, name in ((wide, "wide.png"), (high, "high.png"))]
    run_id = finished_run(studio, ids, model="scenes", trust="off")
    answer = exported(studio, run_id, "mp4")
    assert "wide" in answer.headers["content-disposition"]
    fpath = tmp_path / "a.mp4"
    fpath.write_bytes(answer.content)
    frames = [frame.array() for frame in read_frames(fpath)]
    assert [frame.shape for frame in frames] == [(300, 640, 3)] * 2
    first, second = (frame.astype(int) for frame in frames)
    assert first[5].mean() > 220  # paper above the wide one
    assert first[150].mean() < 160
    assert second[:, 5].mean() > 220  # and beside the high one
    assert second[5, 300:340].mean() < 160


def test_a_report_to_print(studio, scene):
    studio.patch(f"/api/runs/{scene}", json={"note": "look at $x^2$ & <b>", "tags": ["paper"]})
    data = exported(studio, scene, "pdf").content
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert data.count(b"/Subtype /Image") >= len(studio.get(f"/api/runs/{scene}/view/0").json()["maps"])


def test_a_table_that_is_no_program(studio, scene):
    text = exported(studio, scene, "csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    view = studio.get(f"/api/runs/{scene}/view/0").json()
    assert [row["label"] for row in rows] == [one["label"] for one in view["maps"]]
    assert float(rows[0]["max"]) == view["maps"][0]["statistics"]["max"]
    gain = view["maps"][0]["judgement"]["gain"]
    apart = [kept - cut for kept, cut in zip(gain["kept"], gain["cut"], strict=True)]
    assert float(rows[0]["evidence_gain"]) == pytest.approx(sum(apart) / len(apart))
    for text in ("=1+1", "+1", "-1", "@A1", " =1", "\t=1", "\r=1"):
        assert safe_cell(text) == f"'{text}"


def test_what_makes_a_run_again_does(studio, tmp_path, monkeypatch):
    run_id = finished_run(studio, [send(studio, png(40), "it is.png")], model="scenes", top=2, trust="off")
    (tmp_path / "it is.png").write_bytes(png(40))
    monkeypatch.chdir(tmp_path)
    line = exported(studio, run_id, "command").text
    assert main([*shlex.split(line)[1:], "--quiet"]) == 0
    (tmp_path / "again.py").write_text(exported(studio, run_id, "python").text)
    runpy.run_path("again.py", run_name="__main__")
    for number in (0, 1):
        expected = raw(studio, run_id, number).values.numpy()
        for folder in ("explain-001", "explain-002"):
            (made,) = (tmp_path / "runs" / folder).glob(f"*.{number:02d}-*.npz")
            np.testing.assert_array_equal(Heatmap.load(made).values.numpy(), expected)


def test_everything_as_a_zip(studio, scene, tmp_path):
    with zipfile.ZipFile(io.BytesIO(exported(studio, scene, "zip").content)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        archive.extractall(tmp_path)
    assert {"scene-1.jpg", "command.txt", "again.py", "statistics.csv", "remarks.json", "run/run.json"} <= names
    original = studio.get(f"/api/pictures/{studio.get(f'/api/runs/{scene}').json()['pictures'][0]['id']}").content
    assert (tmp_path / "scene-1.jpg").read_bytes() == original
    assert json.loads((tmp_path / "remarks.json").read_text())["title"] == "scene-1.jpg"
    assert {f"run/{name}" for name in studio.get(f"/api/runs/{scene}").json()["files"]} <= names


@pytest.mark.parametrize(
    ("params", "status", "message"),
    [
        ({"form": "mp4"}, 409, "an MP4 shows several moments or pictures, and this run has a map of 1"),
        ({"form": "exe"}, 422, "form"),
        ({"form": "png", "map": 99}, 404, "they are numbered from 0"),
        ({"form": "png", "index": 99}, 404, "no picture 99"),
        ({"form": "npy", "index": -1}, 422, "index"),
        ({}, 422, "form"),
    ],
)
def test_what_cannot_be_taken_along(studio, scene, params, status, message):
    answer = studio.get(f"/api/runs/{scene}/export", params=params)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text


def test_exports_wait_for_no_run(studio, scene):
    pictures = [send(studio, png(i), f"{i}.png") for i in range(50, 60)]
    run_id = studio.post("/api/runs", json={"pictures": pictures, "options": {"model": "imagenet"}}).json()["id"]
    working = threading.Event()
    with studio.room.events.waking(lambda: working.set() if studio.room.place(run_id) == 0 else None):
        assert working.wait(60) or studio.room.place(run_id) == 0
    assert exported(studio, scene, "png").content.startswith(b"\x89PNG")
    assert studio.room.place(run_id) == 0  # it is still worked on
    assert studio.get(f"/api/runs/{run_id}/export", params={"form": "zip"}).status_code == 409
    studio.room.cancel(run_id)
    assert list((studio.studio.dpath / "exports").iterdir()) == []


@pytest.mark.parametrize("form", ["png", "npz"])
def test_a_run_may_end_while_its_map_is_drawn(studio, scene, tmp_path, monkeypatch, form):
    """Its folder is then moved; what was to be read from the old place is read from the new one."""
    where, asked = studio.room.folder, []

    def folder(run_id):
        asked.append(run_id)
        return where(run_id) if len(asked) > 1 else gone

    gone = tmp_path / "gone"
    (gone / "view").mkdir(parents=True)
    view = where(scene) / "view" / "00000.json"
    (gone / "view" / view.name).write_bytes(view.read_bytes())  # the view was still there, the rest was not
    monkeypatch.setattr(studio.room, "folder", folder)
    assert exported(studio, scene, form, map=1).content
    assert len(asked) == 2


def test_names_say_what_a_file_is():
    assert file_name("overlay", "a/b.jpg", "x/../y", "Grad-CAM++") == "a_b-x_y-Grad-CAM.png"
    assert file_name("zip", "it's.png") == "it_s.zip"
