"""Pictures whose files somebody removed or damaged: named, and whole again when they are sent again."""

from __future__ import annotations

import pytest

from rigs.studio import events_of, png, send


@pytest.mark.parametrize("harm", ["missing", "damaged", "of another size"])
def test_a_picture_that_is_sent_again_is_whole_again(studio, harm):
    data = png({"missing": 904, "damaged": 905}.get(harm, 906))
    picture_id = send(studio, data)
    fpath = studio.history.pictures.path(picture_id)
    fpath.unlink()
    if harm != "missing":
        fpath.write_bytes(b"x" * (len(data) if harm == "damaged" else 3))
    answers = [studio.get(f"/api/pictures/{picture_id}{path}") for path in ("", "/image", "/thumb")]
    for answer in answers:
        assert answer.status_code == 404
        assert "send it again" in answer.json()["error"]
        assert str(studio.history.pictures.dpath) not in answer.text
    assert send(studio, data) == picture_id
    assert fpath.read_bytes() == data
    assert studio.get(f"/api/pictures/{picture_id}").content == data
    assert studio.get(f"/api/pictures/{picture_id}/image").status_code == 200
    assert not [one for one in studio.history.pictures.dpath.iterdir() if one.name.startswith(".new")]


def test_a_missing_picture_is_its_own_failure(studio):
    ids = [send(studio, png(901), "there.png"), send(studio, png(902), "gone.png")]
    studio.history.pictures.path(ids[1]).unlink()
    asks = {"pictures": ids, "options": {"model": "scenes", "trust": "off"}}
    run_id = studio.post("/api/runs", json=asks).json()["id"]
    last = events_of(studio, run_id)[-1]
    assert last[1] == "finished", last
    run = studio.get(f"/api/runs/{run_id}").json()
    assert (run["status"], {one["picture"] for one in run["maps"]}) == ("finished", {"there.png"})
    assert run["message"].startswith("1 failed: gone.png: the file of the picture gone.png is missing; send it again")
    states = {one["name"]: one["status"] for one in studio.get(f"/api/runs/{run_id}/view").json()["pictures"]}
    assert states == {"there.png": "done", "gone.png": "failed"}
    # and when it was sent again, the run is done again
    send(studio, png(902), "gone.png")
    answer = studio.post("/api/runs", json=asks)
    assert (answer.status_code, answer.json()["same"]) == (202, False)
    assert events_of(studio, answer.json()["id"])[-1][1] == "finished"
    assert studio.get(f"/api/runs/{answer.json()['id']}").json()["message"] == ""


def test_a_run_of_missing_pictures_alone_fails_and_says_so_in_its_exports(studio):
    picture_id = send(studio, png(903), "alone.png")
    studio.history.pictures.path(picture_id).unlink()
    asks = {"pictures": [picture_id], "options": {"model": "scenes"}}
    run_id = studio.post("/api/runs", json=asks).json()["id"]
    last = events_of(studio, run_id)[-1][2]
    assert (last["status"], "alone.png is missing; send it again" in last["error"]) == ("failed", True)
    answer = studio.get(f"/api/runs/{run_id}/export", params={"form": "zip"})
    assert answer.status_code == 409
    assert answer.json()["error"].startswith("the run ended without results (failed: the file of the picture alone.png")


def test_damage_is_seen_before_a_decoder_would_see_it(studio):
    """Bytes behind the end of the picture decode to the same pixels."""
    data = png(907) + b"\0" * 64
    picture_id = send(studio, data, "tail.png")
    assert studio.get(f"/api/pictures/{picture_id}").content == data
    studio.history.pictures.path(picture_id).write_bytes(data[:-1] + b"x")
    answer = studio.get(f"/api/pictures/{picture_id}")
    assert (answer.status_code, "tail.png is damaged" in answer.json()["error"]) == (404, True)
    run = studio.post("/api/runs", json={"pictures": [picture_id], "options": {"model": "scenes", "trust": "off"}})
    last = events_of(studio, run.json()["id"])[-1][2]
    assert (last["status"], "tail.png is damaged; send it again" in last["error"]) == ("failed", True)


def test_the_same_bytes_under_another_name_are_asked_about_under_it_and_answered_from_the_store(studio):
    data = png(9907)
    asks = {"model": "scenes", "trust": "off"}
    first = {"pictures": [send(studio, data, "first.png")], "options": asks}
    run = studio.post("/api/runs", json=first).json()["id"]
    events_of(studio, run)
    again = {"pictures": [send(studio, data, "second.png")], "options": asks}
    assert studio.post("/api/runs", json=again).json() == {"id": run, "same": True}
    other = studio.post("/api/runs", json={**again, "options": {**asks, "method": "eigencam"}}).json()["id"]
    events_of(studio, other)
    titles = [studio.get(f"/api/runs/{one}").json()["title"] for one in (run, other)]
    assert titles == ["first.png", "second.png"]
