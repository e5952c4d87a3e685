"""How a run ended, and what of it is kept where its process ended in the middle."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.runs.read import read_items, read_run
from isotherm.runs.record import Run
from isotherm.studio.view_files import pictures_of, view_of
from isotherm.studio.work.outcome import left_in_order, outcome_of
from isotherm.studio.work.results import maps_in
from isotherm.studio.work.view import ViewWriter

FRAME = Frame(torch.tensor([[10.0, 0.0, 0.0], [0.0, 10.0, 0.0]]), (2, 4), torch.tensor([20, 40]))
PICTURE = np.zeros((20, 40, 3), np.uint8)
FINISHED = {"event": "finished", "status": "finished", "done": 1, "failed": 0, "failures": []}
DIED = {"event": "failed", "status": "failed", "error": "the process died"}


def left(folder, *, judged=1, shown=2):
    """What a process leaves that dies while it checks the map of a picture, after others that it has checked."""
    run = Run("explain", out=folder, command=["isotherm", "explain"])
    writer = ViewWriter(folder, command="c")
    heatmap = Heatmap(torch.ones(2, 4), FRAME, "relevance", signed=False, label="cat")
    for i in range(shown):
        facts = {
            "name": f"{i}.png",
            "maps": [{"label": "cat", "method": "GradCAM", "checking": True, "statistics": {}}],
        }
        writer.preview(facts, PICTURE, [heatmap])
        writer.add({**facts, "files": ["a.00-cat.jpg"]}, PICTURE, [heatmap])
        if i < judged:
            facts["maps"] = [{"label": "cat", "method": "GradCAM", "verdict": "doubtful", "trust": "trust: → doubtful"}]
            writer.judge(run.done(**facts))
    (folder / "view").mkdir(exist_ok=True)
    (folder / "view" / ".half.json").write_text("{")
    return folder


def test_a_map_that_was_being_checked_when_its_process_died_is_kept_and_says_so(tmp_path):
    folder = left(tmp_path / "run")
    assert [one["checking"] for one in pictures_of(folder)] == [False, True]
    assert read_run(folder)["status"] == "running"
    how = outcome_of(DIED, folder)
    assert (how.status, how.keep) == ("failed", True)
    assert how.message == how.event["error"] == "the process died; the maps that there were are kept"
    assert [(one["name"], one["checking"], one["verdicts"]) for one in pictures_of(folder)] == [
        ("0.png", False, ["doubtful"]),
        ("1.png", False, ["not checked"]),
    ]
    (one,) = view_of(folder, 1)["maps"]
    assert (one["verdict"], one["checking"]) == ("not checked", False)
    assert one["trust"] == "trust: not checked (the process died)"
    assert [(item["name"], item.get("unchecked")) for item in read_items(folder)] == [
        ("0.png", None),
        ("1.png", "the process died"),
    ]
    assert [(one.picture, one.label, one.verdict) for one in maps_in(folder)] == [
        ("0.png", "cat", "doubtful"),
        ("1.png", "cat", "not checked"),
    ]
    record = read_run(folder)
    assert (record["status"], record["summary"]) == ("interrupted", {"done": 2, "failed": []})
    assert not (folder / "view" / ".half.json").exists()
    before = {path: path.read_bytes() for path in folder.rglob("*.json*")}
    assert left_in_order(folder, "again") == 2
    assert {path: path.read_bytes() for path in folder.rglob("*.json*")} == before  # nothing is left to be done


def test_a_run_without_a_map_is_not_kept(tmp_path):
    assert outcome_of(DIED, tmp_path / "none").keep is False
    assert outcome_of(DIED, left(tmp_path / "run", judged=0, shown=0)).message == "the process died"


def test_one_that_was_cancelled_and_did_not_end_by_itself_says_cancelled(tmp_path):
    folder = left(tmp_path / "run", judged=0, shown=1)
    how = outcome_of({**DIED, "status": "cancelled", "error": "it did not end by itself"}, folder)
    assert (how.status, how.keep) == ("cancelled", True)
    assert view_of(folder, 0)["maps"][0]["trust"] == "trust: not checked (cancelled)"


@pytest.mark.parametrize(
    ("last", "late", "status", "keep", "message"),
    [
        ({}, "", "finished", True, ""),
        ({"status": "cancelled"}, "", "cancelled", True, ""),
        ({"unchecked": ["a.png: not checked (x)"]}, "", "finished", True, "a.png: not checked (x)"),
        ({"failed": 1, "failures": ["b: bad"]}, "", "finished", True, "1 failed: b: bad"),
        ({"done": 0, "failed": 1, "failures": ["b: bad"]}, "", "failed", False, "b: bad"),
        (
            {"status": "cancelled"},
            "it took longer than 3 s",
            "failed",
            True,
            "it took longer than 3 s; the maps that there were are kept",
        ),
        ({"status": "cancelled", "done": 0}, "it took longer than 3 s", "failed", False, "it took longer than 3 s"),
    ],
)
def test_how_a_run_that_ended_by_itself_counts(tmp_path, last, late, status, keep, message):
    how = outcome_of({**FINISHED, **last}, tmp_path, late)
    assert (how.status, how.keep, how.message) == (status, keep, message)
    assert how.event["status"] == status
    assert how.event["event"] == ("finished" if status != "failed" else "failed")
    json.dumps(how.event)
