"""The studio's interface: pictures in, runs asked for, watched, looked at and remembered; nothing else gets through."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from isotherm.errors import OptionError
from isotherm.studio.api import old_app, pictures, videos
from isotherm.studio.app import make_app
from isotherm.studio.guard import HEADERS
from isotherm.studio.requests import file_names, key_of, options_of
from isotherm.studio.store.blobs import new_id
from isotherm.studio.work.workroom import Workroom
from rigs.studio import events_of, finished_run, png, send, sent_in_parts

FORM = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
MARK = {"picture": 0, "kind": "box", "points": [[1, 2], [3, 4.5]]}


@pytest.fixture(scope="module")
def finished(studio):
    """A run that was asked for and is done."""
    return finished_run(studio, [send(studio)], model="scenes", top=2, trust="off")


def test_a_run_from_the_picture_to_its_files(studio, finished):
    facts = studio.get(f"/api/runs/{finished}").json()
    assert (facts["status"], facts["title"], facts["place"]) == ("finished", "photo.png", None)
    assert facts["command"] == "isotherm explain photo.png --model scenes --top 2 --trust off"
    assert len(facts["maps"]) == 2
    assert facts["pictures"] == [{"id": send(studio), "name": "photo.png"}]
    assert facts["maps"][0]["picture"] == "photo.png"
    assert {"run.json", "items.jsonl", "report.html"} <= set(facts["files"])
    record = studio.get(f"/api/runs/{finished}/files/run.json").json()
    assert record["status"] == "finished"
    assert str(studio.history.runs.dpath) not in record["command"]
    drawn = next(name for name in facts["files"] if name.endswith(".jpg"))
    answer = studio.get(f"/api/runs/{finished}/files/{drawn}")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"].startswith("inline")
    assert Image.open(io.BytesIO(answer.content)).size[0] == 320  # a small picture has paper for its command
    page = studio.get(f"/api/runs/{finished}/files/report.html")
    assert page.headers["content-disposition"].startswith("attachment")


def test_the_same_request_is_answered_from_what_is_there(studio, finished):
    asked = {"pictures": [send(studio, name="again.png")], "options": {"trust": "off", "model": "scenes", "top": 2}}
    answer = studio.post("/api/runs", json=asked)
    assert (answer.status_code, answer.json()) == (200, {"id": finished, "same": True})


def test_events_go_on_where_a_page_was_reloaded(studio, finished):
    events = events_of(studio, finished)
    assert [event[1] for event in events][:2] == ["queued", "running"]
    assert events_of(studio, finished, **{"last-event-id": str(events[-2][0])}) == events[-1:]
    # a studio that was started since knows only how it ended
    other = Workroom(studio.history)
    client = TestClient(make_app(replace(studio.studio, room=other)))
    assert events_of(client, finished) == [(1, "finished", {"event": "finished", "status": "finished", "error": ""})]
    other.close()


def test_what_is_said_about_a_run_is_found_again(studio, finished):
    # words of this test alone: other tests keep runs in the same studio
    said = {"star": True, "note": "Look at the Axolotl", "tags": ["axolotls", "good"], "marks": [MARK]}
    assert studio.patch(f"/api/runs/{finished}", json=said).status_code == 200
    assert studio.patch(f"/api/runs/{finished}", json={"tags": ["axolotls"]}).json()["note"] == "Look at the Axolotl"
    narrow = {"model": "scenes", "status": "finished", "starred": True, "words": "look axolotl"}
    for query in ({"words": "axoLOTL"}, {"tag": "axolotls"}, narrow):
        page = studio.get("/api/runs", params=query).json()
        assert [run["id"] for run in page["runs"]] == [finished]
        assert page["next"] is None
    assert finished not in [run["id"] for run in studio.get("/api/runs", params={"tag": "good"}).json()["runs"]]
    choices = studio.get("/api/choices").json()
    assert "axolotls" in choices["tag"]
    assert "scenes" in choices["models"]


def test_pages_of_the_history_join(studio, finished):
    made = [
        studio.history.add_run("explain", key=str(i), title="t", model="paged", options={}, command="c")
        for i in range(5)
    ]
    for run_id in made:
        studio.history.set_status(run_id, "failed")
    seen, query = [], {"model": "paged", "limit": 2}
    while True:
        page = studio.get("/api/runs", params=query).json()
        seen += [run["id"] for run in page["runs"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert seen == made[::-1]
    for run_id in made:
        assert studio.delete(f"/api/runs/{run_id}").status_code == 204
    assert studio.get(f"/api/runs/{made[0]}").status_code == 404


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"", 415, "it is empty"),
        (b"%PDF-1.7", 415, "it is a PDF"),
        (b"<svg onload='alert(1)'/>", 415, "SVG"),
        (b"\x00" * 100, 415, "no picture that can be read"),
        (png(1)[:200], 415, "damaged or cut short"),
    ],
)
def test_what_is_no_picture_is_refused(studio, data, status, message):
    answer = studio.post("/api/pictures", params={"name": "a.png"}, content=data)
    assert answer.status_code == status
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "kind", "begins"),
    [
        ("/api/pictures", "image/png", png(1)[:64]),
        ("/api/videos", "video/mp4", b"\0\0\0\x20ftypisom" + bytes(52)),
        ("/generate_heatmap", "multipart/form-data; boundary=x", FORM),
    ],
)
def test_what_is_too_large_is_refused_while_it_comes(studio, monkeypatch, path, kind, begins):
    for module in (pictures, videos, old_app):
        monkeypatch.setattr(module, "MOST_BYTES", 1000)
    status, left, _ = sent_in_parts(studio, "POST", f"{path}?name=a.png", [begins, *[bytes(100)] * 1000], kind)
    assert status == 413
    assert left > 980  # of a thousand, nobody fetched the rest
    assert list(studio.history.pictures.dpath.glob(".new*")) == []


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"job": "train"}, 422, "explain"),
        ({"options": {"model": "/etc/passwd"}}, 422, "there is no model '/etc/passwd' here"),
        ({"options": {"model": ["scenes"]}}, 422, "there is no model"),
        ({"options": {"model": "scenes", "device": "cuda:9"}}, 422, "there is no device 'cuda:9' here"),
        ({"options": {"out": "/tmp/x"}}, 422, "out cannot be set here"),
        (
            {"options": {"allow_code": "/tmp/x.pt", "weights": "/tmp/x.pt"}},
            422,
            "allow_code, weights cannot be set here",
        ),
        ({"options": {"sources": ["http://localhost/"]}}, 422, "sources cannot be set here"),
        ({"options": {"modle": "scenes"}}, 422, "did you mean 'model'"),
        ({"options": {"top": "many"}}, 422, "top"),
        ({"options": {"top": True}}, 422, "top is 'True'; expected a whole number from 1 to 100"),
        ({"options": {"top": 101}}, 422, "top is '101'"),
        ({"options": {"every": 10**12}}, 422, "every is '1000000000000'; expected a whole number from 1 to 100000"),
        ({"options": {"max_frames": 100_001}}, 422, "max_frames is '100001'; expected a whole number from 1 to 100000"),
        ({"options": {"max_frames": 1.5}}, 422, "max_frames is '1.5'; expected a whole number from 1 to 100000"),
        ({"options": {"batch": 10**9}}, 422, "batch is '1000000000'; expected a whole number from 1 to 64"),
        ({"options": {"model": None}}, 422, "model is null, no text"),
        ({"pictures": []}, 422, "pictures"),
        ({"pictures": ["../../etc/passwd"]}, 404, "is no id"),
        ({"pictures": ["0" * 32]}, 404, "there is no picture"),
        ({"extra": 1}, 422, "extra"),
    ],
)
def test_requests_that_are_none(studio, change, status, message):
    asked = {"pictures": [send(studio)], "options": {"model": "scenes"}} | change
    answer = studio.post("/api/runs", json=asked)
    assert answer.status_code == status, answer.text
    assert message in answer.text.replace('\\"', '"')


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs/{run}/files/..%2F..%2Fhistory.db",
        "/api/runs/{run}/files/%2Fetc%2Fpasswd",
        "/api/runs/{run}/files/.",
        "/api/runs/{run}/files/nothing.png",
        "/api/runs/..%2F..%2Fhistory.db",
        "/api/runs/" + "0" * 32,
        "/api/pictures/" + "0" * 32,
        "/api/runs/{run}/files/",
        "/docs",
        "/history.db",
    ],
)
def test_nothing_else_is_read(studio, finished, path):
    answer = studio.get(path.format(run=finished))
    assert answer.status_code in (404, 422)
    assert b"SQLite" not in answer.content
    assert b"root:" not in answer.content


def test_nobody_gets_in_who_was_not_let_in(studio, finished):
    stranger = TestClient(studio.app, base_url="http://127.0.0.1:8080")
    for path in ("/api/runs", f"/api/runs/{finished}", "/openapi.json", "/"):
        assert stranger.get(path).status_code == 401
    answer = stranger.get("/api/runs", params={"token": studio.access.token})  # a browser follows to the page
    assert answer.status_code == 200
    assert stranger.post("/api/runs", json={}).status_code == 403
    own = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}
    assert stranger.post("/api/runs", json={}, headers=own).status_code == 422
    for name, value in HEADERS.items():
        assert answer.headers[name] == value


def test_more_runs_than_may_wait_are_refused_with_a_time(studio):
    studio.room.most_waiting, before = 0, studio.room.most_waiting
    try:
        answer = studio.post("/api/runs", json={"pictures": [send(studio, png(7))], "options": {"model": "scenes"}})
    finally:
        studio.room.most_waiting = before
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "try again in about" in answer.json()["error"]


def test_a_run_is_cancelled(studio):
    asked = {"pictures": [send(studio, png(i), f"{i}.png") for i in range(20, 32)], "options": {"model": "scenes"}}
    run_id = studio.post("/api/runs", json=asked).json()["id"]
    assert studio.delete(f"/api/runs/{run_id}").status_code == 409  # and asks it to end
    assert studio.post(f"/api/runs/{run_id}/cancel").status_code == 202
    assert events_of(studio, run_id)[-1][2]["status"] == "cancelled"
    assert studio.delete(f"/api/runs/{run_id}").status_code == 204
    assert not studio.history.runs.path(run_id).exists()


def schemas_of(part, described) -> list:
    """The schemas that a part of the description names, and those that these name."""
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(part))) - {"Refusal", "HTTPValidationError"}
    schemas = [described["components"]["schemas"][name] for name in names]
    return [one for schema in schemas for one in (schema, *schemas_of(schema, described))]


def test_every_answer_of_the_interface_is_described(studio):
    described = studio.get("/openapi.json").json()
    for path, methods in described["paths"].items():
        for one in methods.values():
            assert one.get("description"), path
            assert {"400", "401", "403"} <= set(one["responses"]), path
            assert path == "/" or '"example' in json.dumps([one, *schemas_of(one, described)]), path


def test_options_of_requests():
    options = options_of("explain", {"model": "scenes"}, ["a.jpg"], models=["scenes"])
    assert options.sources == ("a.jpg",)
    keys = {
        key_of(options, ["1"]),
        key_of(options, ["2"]),
        key_of(options_of("explain", {"model": "scenes", "top": 2}, ["a.jpg"], models=["scenes"]), ["1"]),
        key_of(options_of("count", {"model": "scenes", "category": "red"}, ["a.jpg"], models=["scenes"]), ["1"]),
    }
    assert len(keys) == 4
    with pytest.raises(OptionError, match="explain or count"):
        options_of("train", {}, [], models=[])


def test_file_names_are_names():
    made = file_names(["..", "a/b/c.png", "C.PNG", "con\x00trol\n.png", "x" * 500 + ".jpg", "<b>.png", "-rf.png"])
    assert made[:4] == ["picture", "c.png", "C-2.PNG", "con_trol_.png"]
    assert len(made[4]) == 120
    assert made[5] == "_b_.png"
    assert new_id() != new_id()


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(28, "No space left on device"), 507, "disk is full"),
        (KeyError("secret"), 500, "not foreseen: KeyError"),
    ],
)
def test_a_fault_is_told_in_the_form_of_all_errors(studio, monkeypatch, error, status, message):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(studio.history, "choices", fail)
    answer = studio.get("/api/choices")
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert message in answer.json()["error"]
    assert "secret" not in answer.text
