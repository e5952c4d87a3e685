"""Cameras of the studio's machine, here a video file: listed, shown with what is found, kept as picture and video."""

from __future__ import annotations

import asyncio
import io
import threading

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="PyAV is not installed")

from isotherm.errors import OptionError
from isotherm.jobs.explain.options import ExplainJob
from isotherm.studio.api import live
from isotherm.studio.live import cameras
from isotherm.studio.live.cameras import Cameras
from rigs.studio import client_of, studio_in
from rigs.videos import scene_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return scene_clip(tmp_path_factory.mktemp("camera") / "table.mp4")


@pytest.fixture(scope="module")
def studio(tmp_path_factory, clip):
    """A studio with one camera."""
    with studio_in(tmp_path_factory.mktemp("studio"), camera=(str(clip),)) as parts, client_of(parts) as client:
        yield client
        parts.cameras.close()


def test_cameras_are_those_of_the_command_line(studio, clip):
    expected = {"id": "1", "name": "table.mp4", "state": "off", "looking": False}
    for answer in (studio.get("/api/live").json(), studio.get("/api/state").json()):
        (camera,) = answer["cameras"]
        assert {key: camera[key] for key in expected} == expected
    assert str(clip.parent) not in studio.get("/api/live").text
    for path in ("/api/live/2", "/api/live/2/frames"):
        answer = studio.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "there is no camera '2'; there are 1")
    assert studio.post("/api/live/99/snapshot").status_code == 404
    assert studio.get("/api/live/..%2f").status_code in (404, 422)


def test_a_snapshot_is_a_picture_at_full_size(studio):
    answer = studio.post("/api/live/1/snapshot")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["h"], answer.json()["w"]) == (480, 640)
    assert answer.json()["name"].startswith("table.mp4 20")
    assert studio.get(f"/api/pictures/{answer.json()['id']}/image").status_code == 200


def test_what_is_shown_is_one_jpeg_after_the_other(studio):
    camera = studio.studio.cameras["1"].camera

    async def two() -> list[bytes]:
        stream = live._stream(camera)
        try:
            return [await anext(stream), await anext(stream)]
        finally:
            await stream.aclose()

    first, second = asyncio.run(two())
    boundary = b"--isotherm-frame\r\n"
    assert first.startswith(boundary + b"content-type: image/jpeg\r\ncontent-length: ")
    assert first.endswith(b"\r\n" + boundary)
    assert not second.startswith(boundary)
    for part in (first, second):
        head, _, rest = part.removeprefix(boundary).partition(b"\r\n\r\n")
        length = int(head.rsplit(b" ", 1)[1])
        assert Image.open(io.BytesIO(rest[:length])).size == (640, 480)
        assert rest[length:] == b"\r\n" + boundary


def test_a_recording_is_a_video(studio):
    answer = studio.post("/api/live/1/record", json={"seconds": 0.5})
    assert answer.status_code == 201, answer.text
    video = answer.json()
    assert (video["kind"], video["h"], video["w"]) == ("video", 480, 640)
    assert 0.3 < video["seconds"] < 6
    assert studio.post("/api/live/1/record", json={"seconds": 1e9}).status_code == 422


def test_a_model_looks_at_the_newest_frame_until_it_is_stopped(studio):
    watched = studio.studio.cameras["1"]
    answer = studio.post("/api/live/1/start", json={"options": {"model": "detector"}})
    assert (answer.status_code, answer.json()["looking"]) == (200, True), answer.text
    new = threading.Event()
    with watched.camera.used(), watched.camera.waking(new.set):
        while not studio.get("/api/live/1").json()["findings"]:
            assert new.wait(60)
            new.clear()
        facts = studio.get("/api/live/1").json()
        assert {one["label"] for one in facts["findings"]} == {"gear", "crescent", "spiral"}
        (gear,) = [one for one in facts["findings"] if one["label"] == "gear"]
        x0, y0, x1, y1 = gear["box"]
        assert np.abs(np.array([x0, y0, x1, y1]) - (272, 208, 412, 350)).max() < 20
        # the box is on what is shown
        row = int((y0 + y1) / 2)
        while np.asarray(Image.open(io.BytesIO(watched.camera.shown.jpeg)))[row, round(x0) + 1].min() < 190:
            assert new.wait(60)
            new.clear()
        answer = studio.post("/api/live/1/stop")
        assert (answer.json()["looking"], answer.json()["error"]) == (False, None)


def test_a_model_that_cannot_look_says_why(studio):
    assert studio.post("/api/live/1/start", json={"options": {"model": "../x"}}).status_code == 422
    watched = studio.studio.cameras["1"]
    new = threading.Event()
    with watched.camera.used(), watched.camera.waking(new.set):
        studio.post("/api/live/1/start", json={"options": {"model": "tiny-vlm"}})
        while (facts := studio.get("/api/live/1").json())["looking"]:
            assert new.wait(60)
            new.clear()
    assert "does not look at single pictures by itself; take a detector" in facts["error"]


def test_a_model_that_nobody_watches_stops(studio, monkeypatch):
    watched = studio.studio.cameras["1"]
    monkeypatch.setattr(cameras, "FORGOTTEN_S", 0.0)
    new = threading.Event()
    watched.start(ExplainJob(sources=("camera",), model="detector"))
    with watched.camera.waking(new.set):
        while watched._error is None:
            assert new.wait(60)
            new.clear()
    assert "nobody has watched" in studio.get("/api/live/1").json()["error"]
    assert watched._stop is None


def test_what_is_no_camera_is_refused_at_the_start(studio):
    with pytest.raises(OptionError, match=r"--camera nothing\.mp4: expected a camera's number \(0\)"):
        Cameras(["nothing.mp4"], studio.room)
    assert Cameras().facts() == []
