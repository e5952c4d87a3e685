"""A body that is no file is read whole, and so may not be of any size."""

from __future__ import annotations

import json

import pytest

from isotherm.studio.api import small_bodies
from isotherm.studio.app import make_app
from rigs.studio import finished_run, png, send, sent_in_parts

MB = 1 << 20


@pytest.fixture(scope="module")
def run(studio):
    return finished_run(studio, [send(studio, png(3131))], model="scenes", trust="off")


def test_nothing_that_takes_json_reads_more_than_it_may(studio, run):
    paths = make_app(studio.studio).openapi()["paths"]
    asked = 0
    for path, methods in paths.items():
        for method, one in methods.items():
            if method == "get" or path in small_bodies.FILES:
                continue
            asked += 1
            address = path.replace("{run_id}", run).replace("{camera_id}", "1").replace("{video_id}", "0" * 32)
            body = [b'{"note": "', *[b"a" * MB] * 100]
            status, left, answer = sent_in_parts(studio, method.upper(), address, body, "application/json")
            assert (status, "more than 8 MB" in answer.decode()) == (413, True), (method, path)
            assert left > 90
            assert "requestBody" not in one or "413" in one["responses"], (method, path)
    assert asked > 8


def test_the_largest_that_a_run_keeps_is_taken_in_parts(studio, run):
    marks = [{"picture": 0, "kind": "free", "points": [[100.123456, 100.654321]] * 5000}] * 10
    body = json.dumps({"marks": marks}).encode()
    assert len(body) > MB
    parts = [body[k : k + 65_536] for k in range(0, len(body), 65_536)]
    status, left, answer = sent_in_parts(studio, "PATCH", f"/api/runs/{run}", parts, "application/json")
    assert (status, left) == (200, 0)
    assert len(json.loads(answer)["marks"]) == 10


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"words": "a" * 1001}, "words"),
        ({"words": " ".join(map(str, range(60)))}, "words are 60 words; at most 50"),
        ({"verdict": "v" * 60_000}, "verdict"),
    ],
)
def test_a_search_for_more_than_a_database_looks_for_is_refused(studio, query, message):
    answer = studio.get("/api/runs", params=query)
    assert (answer.status_code, message in answer.json()["error"]) == (422, True), answer.text
    again = {name: " ".join(text.split()[:1])[:1000] for name, text in query.items()}
    assert studio.get("/api/runs", params={**again, "model": "x" * 1000}).status_code == 200
