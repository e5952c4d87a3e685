"""The two addresses of the YOLOE heatmap app."""

from __future__ import annotations

import io

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from isotherm.studio.api import old_app
from isotherm.studio.samples import samples
from rigs.studio import events_of, png

OWN = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}


def browser_of(studio) -> TestClient:
    """A browser that was let in; it has a session of its own."""
    browser = TestClient(studio.app, base_url="http://127.0.0.1:8080", headers=OWN)
    answer = browser.get("/", params={"token": studio.access.token}, follow_redirects=False)
    assert answer.status_code == 303
    return browser


def test_a_picture_in_a_form_comes_back_as_a_heatmap(studio):
    files = {"picture": ("scene.jpg", samples()["scene-3"].fpath.read_bytes(), "image/jpeg")}
    answer = studio.post("/generate_heatmap", params={"model": "scenes"}, files=files)
    assert answer.status_code == 200, answer.text
    facts = answer.json()
    assert set(facts) == {"success", "heatmap_id", "file", "url", "error"}
    assert (facts["success"], facts["error"], facts["file"]) == (True, None, f"{facts['heatmap_id']}.jpg")
    shown = studio.get(facts["url"])
    assert shown.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(shown.content)).width >= 768
    assert studio.get("/view_heatmap", params={"path": facts["heatmap_id"]}).content == shown.content
    # asked for again when its check has ended, it is the same file; removed by somebody, it is written again
    (run,) = studio.get("/api/runs", params={"limit": 1}).json()["runs"]
    events_of(studio, run["id"])
    again = studio.post("/generate_heatmap", params={"model": "scenes"}, files=files).json()
    assert again == facts
    studio.studio.heatmaps.path(facts["file"]).unlink()
    third = studio.post("/generate_heatmap", params={"model": "scenes"}, files=files).json()
    assert studio.get(third["url"]).content == shown.content


def test_without_a_picture_it_is_the_last_snapshot_of_the_session(studio):
    one, other = browser_of(studio), browser_of(studio)
    answer = one.post("/generate_heatmap", params={"model": "scenes"})
    assert answer.status_code == 409
    assert answer.json() == {
        "success": False,
        "heatmap_id": None,
        "file": None,
        "url": None,
        "error": old_app.NO_SNAPSHOT,
    }
    for seed, name in ((60, "first.png"), (61, "last.png")):
        assert one.post("/api/pictures", params={"name": name}, content=png(seed)).status_code == 201
    assert one.post("/generate_heatmap", params={"model": "scenes"}).json()["success"]
    assert studio.get("/api/runs", params={"limit": 1}).json()["runs"][0]["title"] == "last.png"
    assert other.post("/generate_heatmap", params={"model": "scenes"}).status_code == 409


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"files": {"picture": ("a.png", b"not a picture")}}, 415, "a.png"),
        ({"files": {"picture": ("../../a.png", png(1)[:100])}}, 415, "damaged"),
        ({"content": b"x", "headers": {"content-type": "image/png"}}, 415, "expected multipart/form-data"),
        ({"data": {"a": "b"}, "headers": {"content-type": "multipart/form-data; boundary=x"}}, 422, "no file"),
        ({"files": {"picture": ("a.png", png(62))}, "params": {"model": "/etc/passwd"}}, 422, "there is no model"),
    ],
)
def test_what_gives_no_heatmap_says_why(studio, request_, status, message):
    if "data" in request_:
        body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
        request_ = {"content": body, "headers": request_["headers"]}
    answer = studio.post("/generate_heatmap", **request_)
    assert answer.status_code == status, answer.text
    assert answer.json()["success"] is False
    assert message in answer.json()["error"]


def test_a_form_is_counted_while_it_comes(studio, monkeypatch):
    monkeypatch.setattr(old_app, "MOST_BYTES", 1000)
    answer = studio.post("/generate_heatmap", files={"picture": ("a.png", b"x" * 5000)})
    assert answer.status_code == 413


def test_a_full_queue_says_when_to_come_back(studio):
    studio.room.most_waiting, before = 0, studio.room.most_waiting
    try:
        answer = studio.post("/generate_heatmap", params={"model": "scenes"}, files={"picture": ("a.png", png(63))})
    finally:
        studio.room.most_waiting = before
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("path", ["../key", "/etc/passwd", "heatmap_20200101_000000.jpg/../../key", "..%2Fkey", ""])
def test_a_heatmap_is_never_a_path(studio, path):
    answer = studio.get("/view_heatmap", params={"path": path})
    assert answer.status_code == 422
    assert "is no heatmap's name" in answer.json()["error"]
    assert studio.get("/view_heatmap", params={"path": "heatmap_20200101_000000"}).status_code == 404


def test_scripts_need_the_key_and_browsers_their_own_page(studio):
    stranger = TestClient(studio.app, base_url="http://127.0.0.1:8080")
    assert stranger.post("/generate_heatmap").status_code == 403
    assert stranger.post("/generate_heatmap", headers=OWN).status_code == 401
    foreign = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
    assert browser_of(studio).post("/generate_heatmap", headers=foreign).status_code == 403
    script = studio.post("/generate_heatmap", params={"model": "nothing"}, headers=foreign)  # with the key
    assert script.status_code in (409, 422)
