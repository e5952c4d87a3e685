"""What can be neither kept nor shown is refused in words before anything is written."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from rigs.studio import png, send

HALF, NUL = "\ud800", "a\0b"


@pytest.fixture(scope="module")
def run_id(studio):
    """A run that has ended, of this file alone."""
    made = studio.history.add_run("explain", key="plain", title="plain", model="plain", options={}, command="c")
    studio.history.set_status(made, "failed")
    yield made
    studio.history.remove(made)


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


BODIES = {
    "half a character among the marks": json.dumps({"marks": [HALF]}),
    "half a character in a mark": json.dumps({"marks": [{"picture": 0, "kind": "text", "points": [[1, 2]], "text": HALF}]}),
    "marks 900 deep": f'{{"marks": {deep(900)}}}',
    "marks 90000 deep": f'{{"marks": {deep(90_000)}}}',
    "half a character in a tag": json.dumps({"tags": [HALF]}),
    "NUL in a tag": json.dumps({"tags": [NUL]}),
    "half a character in a note": json.dumps({"note": HALF}),
    "NUL in a note": json.dumps({"note": NUL}),
    "NaN": '{"marks": [{"picture": 0, "kind": "text", "points": [[NaN, 2]], "text": "a"}]}',
    "a number without end": f'{{"marks": [{{"picture": {"9" * 400}, "kind": "text", "points": [[1, 2]], "text": "a"}}]}}',
    "a number longer than any": f'{{"marks": [{"9" * 5000}]}}',
    "no mark": json.dumps({"marks": [{"box": [1, 2, 3, 4]}]}),
    "an arrow with a single point": json.dumps({"marks": [{"picture": 0, "kind": "arrow", "points": [[1, 2]]}]}),
    "a text without words": json.dumps({"marks": [{"picture": 0, "kind": "text", "points": [[1, 2]]}]}),
    "an empty tag": json.dumps({"tags": [""], "star": True}),
    "half a character as a key": json.dumps({HALF: 1}),
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_remarks_that_cannot_be_kept_change_nothing(studio, run_id, what):
    before = studio.get(f"/api/runs/{run_id}").json()
    answer = studio.patch(
        f"/api/runs/{run_id}", content=BODIES[what].encode(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]
    assert studio.get(f"/api/runs/{run_id}").json() == before


@pytest.mark.parametrize(
    "asks",
    [
        {"options": {"model": HALF}},
        {"options": {HALF: 1}},
        {"options": {"cls": NUL}},
        {"options": {"classes": HALF}},
        {"pictures": [HALF]},
        {"job": HALF},
    ],
)
def test_runs_that_cannot_be_taken_down_are_refused(studio, asks):
    body = json.dumps({"pictures": [send(studio, png(70))], "options": {"model": "scenes"}} | asks)
    answer = studio.post("/api/runs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert "half a character" in answer.text or "NUL" in answer.text


@pytest.mark.parametrize("key", ["words", "model", "label", "verdict", "tag"])
def test_searches_for_what_nobody_can_keep_are_refused(studio, key):
    answer = studio.get("/api/runs", params={key: NUL})
    assert (answer.status_code, answer.json()["error"].startswith(f"{key}: ")) == (422, True)


@pytest.mark.parametrize("kept", ['["\\ud800", NaN]', deep(900), deep(50_000), "no JSON", '"a text"', "null"])
def test_a_row_that_cannot_be_shown_hides_no_other(studio, run_id, kept):
    """As an older studio wrote it."""
    with studio.history._engine.begin() as connection:
        connection.execute(text("UPDATE runs SET marks = :marks WHERE id = :id"), {"marks": kept, "id": run_id})
    answer = studio.get("/api/runs", params={"model": "plain"})
    assert (answer.status_code, [run["id"] for run in answer.json()["runs"]]) == (200, [run_id])
    assert studio.get(f"/api/runs/{run_id}").status_code == 200
    assert studio.patch(f"/api/runs/{run_id}", json={"marks": []}).json()["marks"] == []
