"""Videos: sent, looked at frame by frame, a moment kept as a picture, explained in part; and what is none is refused."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="PyAV is not installed")

from isotherm.studio.api import videos
from isotherm.studio.store.blobs import new_id
from rigs.studio import events_of, finished_run, send
from rigs.videos import write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "a clip.mp4", frames=12, rate=10, h=96, w=128).read_bytes()


@pytest.fixture(scope="module")
def video(studio, clip):
    answer = studio.post("/api/videos", params={"name": "../a clip.mp4"}, content=clip)
    assert answer.status_code == 201, answer.text
    return answer.json()


def grey(content: bytes) -> int:
    return round(float(np.asarray(Image.open(io.BytesIO(content)))[-8:, -8:].mean()) / 20)


def test_a_video_has_its_length_and_the_same_bytes_the_same_id(studio, clip, video):
    assert video["name"] == "a clip.mp4"
    assert {key: video[key] for key in ("kind", "h", "w", "frames")} == {
        "kind": "video", "h": 96, "w": 128, "frames": 12
    }  # fmt: skip
    assert (video["seconds"], video["fps"]) == pytest.approx((1.2, 10))
    again = studio.post("/api/videos", params={"name": "b.mp4"}, content=clip).json()
    assert (again["id"], again["name"]) == (video["id"], "b.mp4")
    assert studio.post("/api/videos", params={"name": "a clip.mp4"}, content=clip).json() == video  # the name sent last
    assert studio.get(f"/api/videos/{video['id']}").json() == video
    whole = studio.get(f"/api/videos/{video['id']}/file")
    assert (whole.content, whole.headers["content-type"]) == (clip, "video/mp4")
    part = studio.get(f"/api/videos/{video['id']}/file", headers={"range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, b"ftypisom")


def test_frames_by_their_moment_and_a_row_of_them(studio, video):
    for at, number in ((0, 0), (0.55, 5), (1.1, 11), (3000, 11)):
        answer = studio.get(f"/api/videos/{video['id']}/frame", params={"at": at})
        assert answer.headers["content-type"] == "image/jpeg"
        assert grey(answer.content) == number
    strip = Image.open(io.BytesIO(studio.get(f"/api/videos/{video['id']}/strip", params={"count": 6}).content))
    assert strip.size == (6 * 96, 72)
    tiles = [strip.crop((96 * i + 80, 60, 96 * i + 90, 70)) for i in range(6)]
    assert [round(float(np.asarray(tile).mean()) / 20) for tile in tiles] == [1, 3, 5, 7, 9, 11]


def test_a_moment_becomes_a_picture(studio, video):
    answer = studio.post(f"/api/videos/{video['id']}/snapshot", json={"at_s": 0.72})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["name"], answer.json()["h"], answer.json()["w"]) == ("a clip at 0.70 s.png", 96, 128)
    kept = studio.get(f"/api/pictures/{answer.json()['id']}")
    assert kept.headers["content-type"] == "image/png"
    assert grey(kept.content) == 7


def test_a_part_of_a_video_is_explained_with_progress_and_becomes_a_video(studio, video):
    options = {"model": "scenes", "trust": "off", "top": 1, "start_s": 0.3, "end_s": 0.9, "every": 3}
    run_id = finished_run(studio, [video["id"]], **options)
    facts = studio.get(f"/api/runs/{run_id}").json()
    assert [one["picture"] for one in facts["maps"]] == ["a clip.mp4#000003", "a clip.mp4#000006"]
    (name,) = [name for name in facts["files"] if name.endswith(".mp4")]
    answer = studio.get(f"/api/runs/{run_id}/files/{name}")
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content[4:8] == b"ftyp"
    told = [event for _, event in studio.room.events.after(run_id) if event["event"] == "progress"]
    steps = [(event["step"], event["total"]) for event in told if event["stage"] == "explaining"]
    assert steps[-2:] == [(1, 2), (2, 2)]
    assert studio.delete(f"/api/runs/{run_id}").status_code == 204


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 415, "this is no video"),
        (b"%PDF-1.7" + b" " * 200, 415, "this is no video"),
        (b"\x89PNG\r\n\x1a\n" + b" " * 200, 415, "this is no video"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 500, 415, "cannot be opened as a video"),
        (b"\x1aE\xdf\xa3" + b"\xff" * 200, 415, "cannot be opened as a video"),
    ],
)
def test_what_is_no_video_is_refused(studio, content, status, words):
    answer = studio.post("/api/videos", params={"name": "a.mp4"}, content=content)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert str(studio.history.pictures.dpath) not in answer.text


def test_limits_hold_before_all_has_come_and_before_anything_is_decoded(studio, clip, monkeypatch):
    monkeypatch.setattr(videos, "MOST_BYTES", len(clip) - 1)
    answer = studio.post("/api/videos", params={"name": "a.mp4"}, content=clip)
    assert (answer.status_code, "send a shorter or smaller one" in answer.text) == (413, True)
    monkeypatch.setattr(videos, "MOST_BYTES", len(clip))
    monkeypatch.setattr(videos, "MOST_SECONDS", 1.0)
    answer = studio.post("/api/videos", params={"name": "a.mp4"}, content=clip)
    assert (answer.status_code, "minutes long" in answer.text) == (413, True)
    assert not list(studio.history.pictures.dpath.glob(".new.*"))


def test_a_video_that_was_cut_short_is_refused_when_it_comes(studio, tmp_path):
    whole = write_clip(tmp_path / "a.mp4", frames=30, options={"movflags": "faststart"}).read_bytes()
    answer = studio.post("/api/videos", params={"name": "a.mp4"}, content=whole[: len(whole) * 3 // 4])
    assert answer.status_code == 415
    assert "a.mp4 was cut short" in answer.json()["error"]


def test_why_a_video_cannot_be_explained_is_told_without_the_studios_folders(studio, video):
    asks = {"pictures": [video["id"]], "options": {"model": "scenes", "trust": "off", "start_s": 500}}
    run_id = studio.post("/api/runs", json=asks).json()["id"]
    *_, (_, kind, last) = events_of(studio, run_id)
    assert (kind, last["status"]) == ("failed", "failed")
    assert last["error"].startswith(
        "a clip.mp4: a clip.mp4 has no frame from 500 s on; the last one that was read is at "
    )
    told = json.dumps([studio.get(f"/api/runs/{run_id}").json(), events_of(studio, run_id)])
    assert str(studio.history.runs.dpath) not in told


def test_pictures_are_no_videos_and_ids_are_checked(studio):
    picture = send(studio)
    for path in ("", "/file", "/frame", "/strip"):
        answer = studio.get(f"/api/videos/{picture}{path}")
        assert (answer.status_code, "is a picture" in answer.json()["error"]) == (404, True)
        assert studio.get(f"/api/videos/{new_id()}{path}").status_code == 404
    assert studio.post(f"/api/videos/{picture}/snapshot", json={"at_s": 0}).status_code == 404
    assert studio.get(f"/api/videos/{picture}/frame", params={"at": -1}).status_code == 422
    assert studio.get(f"/api/videos/{picture}/frame", params={"at": "nan"}).status_code == 422
