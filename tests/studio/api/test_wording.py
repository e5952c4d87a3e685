"""What is wrong with a request is said in words for a person, none of a framework's."""

from __future__ import annotations

import re

import pytest

FOREIGN = re.compile(r"Input should|String should|List should|JSON decode|Not Found|Not Allowed|b'|None|Field required")
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/api/nothing", None, 404, "there is nothing at '/api/nothing'"),
        ("PUT", "/api/runs", None, 405, "PUT does nothing at '/api/runs'; expected "),
        ("GET", "/api/runs/xyz", None, 422, "run_id is 'xyz', which is no id; expected 32 letters of 0-9 and a-f"),
        ("GET", "/api/runs?limit=many", None, 422, "limit is 'many'; expected a whole number"),
        ("GET", "/api/runs?limit=0", None, 422, "limit is '0'; expected at least 1"),
        ("GET", "/api/runs?status=done", None, 422, "status is 'done'; expected 'queued', 'running'"),
        ("GET", "/api/runs?starred=perhaps", None, 422, "starred is 'perhaps'; expected true or false"),
        ("GET", "/api/runs?after=xxxx", None, 422, "after is 'xxxx'; expected text of the form"),
        ("POST", "/api/runs", "{", 422, "the body is no JSON"),
        ("POST", "/api/runs", b"\xff\xfe", 422, "the body is no JSON"),
        ("POST", "/api/runs", "", 422, "there is no body; expected a JSON object"),
        ("POST", "/api/runs", "[]", 422, "the body is a list of 0; expected an object"),
        ("POST", "/api/runs", "{}", 422, "pictures is missing"),
        ("POST", "/api/runs", '{"pictures": "a"}', 422, "pictures is 'a'; expected a list"),
        ("POST", "/api/runs", '{"pictures": []}', 422, "pictures is a list of 0; expected at least 1 entries"),
        ("POST", "/api/runs", '{"pictures": ["a"], "a": 1}', 422, "there is no field a"),
    ],
)
def test_every_refusal_is_a_sentence_of_the_studio(studio, method, path, body, status, words):
    answer = studio.request(method, path, content=body, headers=JSON if body is not None else {})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"].startswith(words)
    assert not FOREIGN.search(answer.json()["error"])


def test_a_body_that_is_no_json_is_no_bytes_in_the_answer(studio):
    answer = studio.post("/api/runs", content=b"xxxx", headers={"content-type": "text/plain"})
    assert answer.status_code == 422
    assert not FOREIGN.search(answer.json()["error"])
