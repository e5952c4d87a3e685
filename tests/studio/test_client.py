"""A studio from Python: as its users write it, against one that listens at a port."""

from __future__ import annotations

import json
import re
import socket
import threading
import zipfile
from io import BytesIO

import numpy as np
import pytest
import uvicorn

from isotherm.errors import InputError, OptionError
from isotherm.heatmap import Heatmap
from isotherm.studio.client import Studio, StudioError
from rigs.studio import KEY, png
from rigs.videos import write_clip


@pytest.fixture(scope="module")
def server(studio):
    """The studio of all tests, at a port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # so that the first request waits for the server and is not refused
    config = uvicorn.Config(studio.app, log_level="critical", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    running.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def client(server):
    return Studio(server, KEY)


@pytest.fixture(scope="module")
def run(client, tmp_path_factory):
    fpath = tmp_path_factory.mktemp("pictures") / "noise.png"
    fpath.write_bytes(png(7070))
    return client.explain(fpath, model="scenes", top=2, trust="off")


def test_maps_come_as_arrays(client, run, studio):
    assert [one.name for one in run.pictures] == ["noise.png"]
    assert len(run.maps) == 2
    for i, one in enumerate(run.maps):
        exact = np.load(BytesIO(client.export(run.id, "npy", map=i)))
        np.testing.assert_allclose(one.values, exact, rtol=1e-3, atol=1e-3 * np.abs(exact).max())
        assert one.facts["method"]
        assert one.verdict is None
    assert run.facts["command"] == "isotherm explain noise.png --model scenes --top 2 --trust off"


def test_a_video_is_sent_and_a_part_of_it_explained(client, tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed")
    video = client.add_video(write_clip(tmp_path / "clip.mp4", frames=12, rate=10))
    assert (video["frames"], video["h"], video["w"]) == (12, 48, 64)
    run_id = client.submit(ids=[video["id"]], model="scenes", top=1, trust="off", start_s=0.5, every=4)
    assert [event["event"] for event in client.events(run_id)][-1] == "finished"
    assert [one.name for one in client.result(run_id).pictures] == ["clip.mp4#000005", "clip.mp4#000009"]
    client.remove(run_id)
    with pytest.raises(StudioError, match="there is no camera '1'"):
        client.snapshot()


def test_what_is_kept_is_found_and_taken_along(client, run, tmp_path):
    client.annotate(run.id, tags=["from a script"], note="a note")
    assert [one["id"] for one in client.runs(tag="from a script")] == [run.id]
    assert len(list(client.runs(limit=1, model="scenes"))) >= 1  # page by page
    (tmp_path / "a.npz").write_bytes(client.export(run.id, "npz", map=1))
    assert Heatmap.load(tmp_path / "a.npz").values.shape == run.maps[1].values.shape
    with zipfile.ZipFile(BytesIO(client.export(run.id, "zip"))) as archive:
        assert json.loads(archive.read("remarks.json"))["note"] == "a note"
    assert "stage1" in [one["name"] for one in client.layers("scenes")]
    assert "from a script" in client.choices()["tag"]
    assert client.state()["limits"]["pictures"] == 1000


def test_a_run_is_followed_and_cancelled(client):
    run_id = client.submit([png(i) for i in range(80, 92)], model="scenes")
    words, steps = [], []
    for event in client.events(run_id):
        words.append(event["event"])
        if event["event"] == "progress" and event["stage"] == "explaining":
            steps.append((event["step"], event["total"]))
        if event["event"] == "item":
            client.cancel(run_id)
    assert words[0] == "queued"
    assert steps[0] == (1, 12)
    part = client.result(run_id)
    assert part.facts["status"] == "cancelled"
    assert 0 < len(part.pictures) < 12
    client.remove(run_id)
    assert run_id not in [one["id"] for one in client.runs()]


def test_what_is_refused_says_why(client, server):
    with pytest.raises(StudioError, match="there is no model 'nothing' here") as error:
        client.explain(png(1), model="nothing")
    assert error.value.status == 422
    with pytest.raises(StudioError, match="no picture that can be read"):
        client.add_picture(b"text")
    with pytest.raises(InputError, match=r"nowhere\.png cannot be read"):
        client.explain("nowhere.png")
    with pytest.raises(StudioError, match="was not let in") as error:
        Studio(server, "wrong").state()
    assert error.value.status in (401, 403)
    with pytest.raises(OptionError, match="expected such as http"):
        Studio("127.0.0.1:8080", KEY)
    with pytest.raises(InputError, match="cannot be reached"):
        Studio("http://127.0.0.1:1", KEY, timeout_s=1).state()


def test_a_run_that_failed_says_why(client):
    with pytest.raises(StudioError, match=r"failed: .*no such thing"):
        client.explain(png(93), model="scenes", cls="no such thing")


def test_a_map_comes_to_the_last_bit_with_its_frame(client, run, studio):
    for number in (0, 1):
        heatmap = client.heatmap(run.id, map=number)
        files = studio.get(f"/api/runs/{run.id}/view/0").json()["maps"][number]["files"]
        kept = Heatmap.load(studio.history.runs.path(run.id) / next(one for one in files if one.endswith(".npz")))
        np.testing.assert_array_equal(np.asarray(heatmap), np.asarray(kept))
        np.testing.assert_array_equal(np.asarray(heatmap.frame.from_source), np.asarray(kept.frame.from_source))
        assert heatmap.kind == kept.kind


CALLS = {
    "POST /api/pictures": lambda client: client.add_picture(b""),
    "POST /api/videos": lambda client: client.add_video(b""),
    "POST /api/samples/{name}": lambda client: client.sample("scene-1"),
    "POST /api/runs": lambda client: client.submit(ids=["0"]),
    "POST /api/runs/{run_id}/cancel": lambda client: client.cancel("0"),
    "PATCH /api/runs/{run_id}": lambda client: client.annotate("0", star=True),
    "DELETE /api/runs/{run_id}": lambda client: client.remove("0"),
    "POST /api/live/{camera_id}/snapshot": lambda client: client.snapshot(),
    "POST /api/live/{camera_id}/record": lambda client: client.record(),
    "GET /api/runs": lambda client: next(client.runs(words="cat")),
    "GET /api/runs/{run_id}": lambda client: client.result("0"),
    "GET /api/runs/{run_id}/events": lambda client: next(client.events("0")),
    "GET /api/runs/{run_id}/export": lambda client: client.heatmap("0"),
    "GET /api/choices": lambda client: client.choices(),
    "GET /api/state": lambda client: client.state(),
    "GET /api/models/{name}/layers": lambda client: client.layers("scenes"),
}
LEFT_OUT = {
    "POST /generate_heatmap": "for programs of the old app",
    "POST /api/live/{camera_id}/start": "draws over what a page shows live",
    "POST /api/live/{camera_id}/stop": "the same",
    "POST /api/videos/{video_id}/snapshot": "a run about the video with start_s and max_frames=1 is about that moment",
}
"""What changes something, and is no call of the client."""


class Asked(Exception):
    """What a client would have asked."""


class Telling(Studio):
    """A client that asks nothing."""

    def _request(self, method, path, body=None):
        raise Asked(f"{method} {path.partition('?')[0]}")


def test_the_client_has_a_call_for_what_is_done_with_a_studio(studio):
    paths = studio.get("/openapi.json").json()["paths"]
    operations = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert {one for one in operations if not one.startswith("GET ")} <= {*CALLS, *LEFT_OUT}
    for operation, call in CALLS.items():
        assert operation in operations
        with pytest.raises(Asked) as asked:
            call(Telling("http://127.0.0.1:1", KEY))
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", operation), str(asked.value))
