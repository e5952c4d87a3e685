"""The job of judging keypoints without a console: what is left of one that is cancelled, wherever that happens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from isotherm.data.point_table import write_point_table
from isotherm.errors import JobCancelled
from isotherm.jobs.evaluate.keypoints import run
from isotherm.jobs.evaluate.keypoints_options import EvalKeypointsJob
from isotherm.runs.read import list_runs, read_items, read_run
from rigs.dots import dots, untrained
from rigs.reporters import Listening

COUNT = 40
"""More than one batch."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a table of pictures."""
    monkeypatch.chdir(tmp_path)
    kind, records = dots(COUNT), []
    for record in kind:
        Image.fromarray(record.picture).save(f"{record.name}.png")
        records.append(replace(record, picture=tmp_path / f"{record.name}.png"))
    write_point_table(replace(kind, records=records), "points.csv")


def job(**options):
    return EvalKeypointsJob(run=Path("not looked at"), data=Path("points.csv"), extremes=1, **options)


def opened():
    return untrained(), "given by the test"


@pytest.mark.parametrize("stage", ["reading pictures", "predicting"])
def test_a_cancelled_judgement_says_so_and_leaves_no_figures(place, stage):
    """While the pictures are made ready, and between two batches of the model."""
    reporter = Listening(cancel_at=lambda event: getattr(event, "stage", "") == stage)
    with pytest.raises(JobCancelled):
        run(job(out=Path("out")), reporter, opened=opened())
    record = read_run(Path("out"))
    assert (record["job"], record["status"]) == ("eval", "cancelled")
    assert EvalKeypointsJob.from_json(record["options"]) == job(out=Path("out"))
    assert reporter.items == read_items(Path("out")) == []
    assert {f.name for f in Path("out").iterdir()} == {"run.json", "items.jsonl"}
    assert [entry.status for entry in list_runs(".")] == ["cancelled"]
    again = run(job(out=Path("out"), overwrite=True), opened=opened())
    assert (again.summary.status, again.summary.done) == ("finished", COUNT)
    assert read_run(Path("out"))["status"] == "finished"
    assert json.loads(Path("out/evaluation.json").read_text())["model"] == "given by the test"


def test_a_judgement_that_is_cancelled_before_it_begins_makes_no_folder(place):
    reporter = Listening()
    reporter.cancel()
    with pytest.raises(JobCancelled):
        run(job(out=Path("out")), reporter, opened=opened())
    assert not Path("out").exists()
