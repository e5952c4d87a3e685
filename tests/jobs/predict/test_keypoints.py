"""The job of predicting keypoints without a console: what it tells, and what is left of one that is cancelled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from isotherm.jobs.predict.keypoints import described, run
from isotherm.jobs.predict.keypoints_options import PredictKeypointsJob
from isotherm.points import Points
from isotherm.runs.read import list_runs, read_items, read_run
from rigs.dots import dots, untrained
from rigs.reporters import Listening

NAMES = tuple(f"{i}.png" for i in range(5))


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, record in zip(NAMES, dots(5), strict=True):
        Image.fromarray(record.picture).save(name)
    return NAMES


def job(**options):
    return PredictKeypointsJob(sources=NAMES, run=Path("not looked at"), **options)


def opened():
    return untrained(), "given by the test"


@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("after", [1, 4])
def test_a_cancelled_job_ends_after_its_item_and_keeps_what_is_done(pictures, batch, after):
    """Also in the middle of a batch, whose other pictures have been predicted but not drawn."""
    reporter = Listening(cancel_after=after)
    summary = run(job(batch=batch), reporter, opened=opened())
    assert (summary.status, summary.done) == ("cancelled", after)
    record = read_run(summary.dpath)
    assert (record["status"], record["summary"]["done"]) == ("cancelled", after)
    assert [item["name"] for item in read_items(summary.dpath)] == list(NAMES[:after])
    points = json.loads((summary.dpath / "points.json").read_text())["pictures"]
    assert [row["picture"] for row in points] == list(NAMES[:after])
    assert all((summary.dpath / item["picture"]).is_file() for item in reporter.items)
    (entry,) = list_runs(summary.dpath.parent)
    assert (entry.job, entry.status, entry.done) == ("predict", "cancelled", after)


def test_what_is_cancelled_and_done_again_has_the_same_points(pictures):
    run(job(out=Path("out")), Listening(cancel_after=2), opened=opened())
    cancelled = json.loads(Path("out/points.json").read_text())["pictures"]
    again = run(job(out=Path("out"), overwrite=True), opened=opened())
    assert (again.status, again.done) == ("finished", 5)
    assert json.loads(Path("out/points.json").read_text())["pictures"][:2] == cancelled


def test_a_job_that_is_cancelled_before_it_begins_predicts_nothing_and_says_so(pictures):
    reporter = Listening()
    reporter.cancel()
    summary = run(job(), reporter, opened=opened())
    assert (summary.status, summary.done, reporter.items) == ("cancelled", 0, [])
    assert json.loads((summary.dpath / "points.json").read_text())["pictures"] == []


def test_a_line_whose_end_is_nowhere_has_no_length_and_no_nan():
    trained = replace(untrained(), lines={"body": (0, 1)})
    points = Points(torch.tensor([[[1.0, 2.0], [float("nan"), float("nan")]]]))
    facts = described(trained, points, 10.0)
    assert json.loads(json.dumps(facts, allow_nan=False)) == {
        "points": {"red": {"x": 1.0, "y": 2.0}, "green": {"x": None, "y": None}},
        "lines": {"body": {"px": None, "cm": None}},
    }
