"""Jobs without a console: what they tell, how they are cancelled, what they leave behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.errors import JobCancelled, LayerError
from isotherm.jobs.count.options import CountJob
from isotherm.jobs.count.run import run as count
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.run import run as explain
from isotherm.jobs.reporter import Reporter
from isotherm.jobs.train.shipped import run as train
from isotherm.jobs.train.shipped_options import TrainDetectorJob
from isotherm.models.choose import OpenModel
from isotherm.runs.read import list_runs, read_items, read_run
from rigs.reporters import Listening
from rigs.tiny_views import TinyClassifier


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(f"{name}.png")
    Path("broken.png").write_bytes(b"no picture")
    return ("a.png", "broken.png", "b.png", "c.png")


def given() -> OpenModel:
    return OpenModel(TinyClassifier(), "given by the test")


def test_items_come_as_they_are_done_and_are_the_records_lines(pictures):
    reporter = Listening()
    options = ExplainJob(sources=pictures, model="not looked at", trust="off")
    summary = explain(options, reporter, opened=given())
    assert (summary.status, summary.done, len(summary.failed)) == ("finished", 3, 1)
    assert [(i["name"], i["status"]) for i in reporter.items] == [
        ("a.png", "done"), ("broken.png", "failed"), ("b.png", "done"), ("c.png", "done"),
    ]  # fmt: skip
    assert read_items(summary.dpath) == json.loads(json.dumps(reporter.items))
    assert [(p.step, p.total, p.text, p.stage) for p in reporter.steps] == [
        (i + 1, 4, name, "explaining") for i, name in enumerate(pictures)
    ]
    assert next(text for kind, text in reporter.messages if kind == "failure").startswith("broken.png is ")
    assert len(reporter.errors) == 1
    record = read_run(summary.dpath)
    assert ExplainJob.from_json(record["options"]) == options
    assert record["command"] == "isotherm explain a.png broken.png b.png c.png --model 'not looked at' --trust off"
    (entry,) = list_runs(summary.dpath.parent)
    assert (entry.command, entry.done, entry.failed) == (record["command"], 3, 1)


def test_a_job_needs_nobody_to_listen(pictures):
    assert explain(ExplainJob(sources=("a.png",), trust="off", out=Path("here")), opened=given()).done == 1
    assert Path("here/report.html").is_file()


@pytest.mark.parametrize("batch", [1, 2])
def test_a_cancelled_job_keeps_what_is_finished_and_says_so(pictures, batch):
    reporter = Listening(cancel_after=2)
    summary = explain(ExplainJob(sources=pictures, batch=batch, trust="off"), reporter, opened=given())
    assert summary.status == read_run(summary.dpath)["status"] == "cancelled"
    assert len(read_items(summary.dpath)) == 2
    assert summary.done == 1
    assert (summary.dpath / "report.html").is_file()


def test_a_job_that_is_cancelled_before_it_begins_does_nothing(pictures):
    reporter = Listening()
    reporter.cancel()
    summary = explain(ExplainJob(sources=pictures, trust="off"), reporter, opened=given())
    assert (summary.status, summary.done, reporter.items) == ("cancelled", 0, [])
    with pytest.raises(JobCancelled):
        reporter.check()


def test_what_every_picture_would_meet_ends_the_job_with_its_error(pictures):
    with pytest.raises(LayerError):
        explain(ExplainJob(sources=pictures, layer="nowhere", trust="off"), Listening(), opened=given())


def test_random_weights_are_an_alarm(pictures):
    reporter = Listening()
    explain(ExplainJob(sources=("a.png",), model="scenes", weights="none", trust="off"), reporter)
    alarms = [text for kind, text in reporter.messages if kind == "alarm"]
    assert len(alarms) == 1
    assert "RANDOM WEIGHTS" in alarms[0]


def test_counting_can_be_cancelled_between_pictures(tmp_path, monkeypatch):
    from isotherm.data.shape_questions import make_question

    monkeypatch.chdir(tmp_path)
    for i in range(3):
        Image.fromarray(make_question(i).picture).save(f"{i}.png")
    options = CountJob(
        sources=("0.png", "1.png", "2.png"),
        category="red",
        model="tiny-vlm",
        strategy="global",
        prompt="how many {category} ?",
    )
    reporter = Listening(cancel_after=1)
    summary = count(options, reporter)
    assert (summary.status, summary.done) == ("cancelled", 1)
    assert read_run(summary.dpath)["status"] == "cancelled"
    assert list(json.loads((summary.dpath / "counts.json").read_text())["counts"]) == ["0.png"]
    assert CountJob.from_json(read_run(summary.dpath)["options"]) == options
    (entry,) = list_runs(summary.dpath.parent)
    assert (entry.job, entry.status, entry.done) == ("count", "cancelled", 1)


def test_training_can_be_cancelled_and_gone_on_with(tmp_path, monkeypatch):
    """Every kind of training stops at its next word, keeps its record, and ends in the bits of one that was never cancelled."""
    monkeypatch.chdir(tmp_path)
    short = (
        "training.scenes=24",
        "training.batch=4",
        "training.keep_every=2",
        "training.log_every=1",
        "validated=4",
        "held_out=4",
    )

    class Stopping(Reporter):
        def progress(self, progress):
            if progress.stage == "training" and progress.step == 3:
                self.cancel()

    def job(name):
        return TrainDetectorJob(seed=1, steps=4, set=short, out=Path(f"{name}.safetensors"), threads=1)

    with pytest.raises(JobCancelled):
        train(job("stopped"), Stopping())
    record = read_run(Path("stopped.run"))
    assert (record["job"], record["status"], record["recipe"]) == ("train", "cancelled", "detector")
    train(job("stopped"))
    train(job("whole"))
    assert Path("stopped.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()
    record = read_run(Path("stopped.run"))
    assert [start["status"] for start in record["starts"]] == ["cancelled", "finished"]
    assert {(e.dpath.name, e.job, e.status) for e in list_runs(".")} == {
        ("stopped.run", "train", "finished"), ("whole.run", "train", "finished"),
    }  # fmt: skip


def test_a_verdict_is_a_word_in_the_record_with_the_figures_that_it_comes_from(pictures, tmp_path):
    job = ExplainJob(sources=(str(pictures[0]),), model="scenes", top=2, trust="full", out=tmp_path / "judged")
    (item,) = read_items(explain(job).dpath)
    for facts in item["maps"]:
        assert facts["trust"].split("→ ")[1].startswith(facts["verdict"])
        gain = facts["judgement"]["gain"]
        assert f"evidence gain {np.mean(np.array(gain['kept']) - gain['cut']):+.2f} " in facts["trust"]
        assert f"deletion {facts['judgement']['deletion']['value']:.2f} " in facts["trust"]
        assert facts["judgement"]["level"] == "full"
        for figure in (facts["judgement"]["deletion"], facts["judgement"]["insertion"]):
            at, own, random = np.array(figure["curve"]).T
            assert np.trapezoid(own, at) == pytest.approx(figure["value"], abs=1e-3)
            assert np.trapezoid(random, at) == pytest.approx(figure["random"], abs=1e-3)
    summary = explain(ExplainJob(sources=(str(pictures[0]),), model="scenes", trust="off", out=tmp_path / "unjudged"))
    (item,) = read_items(summary.dpath)
    assert item["maps"][0]["trust"] is None
    assert "verdict" not in item["maps"][0]


def test_maps_can_be_shown_before_their_files_are_written(pictures, tmp_path):
    seen = []

    class Watching(Reporter):
        def preview(self, facts, picture, maps, lines=()):
            seen.append(("preview", facts, len(maps), sorted(path.suffix for path in (tmp_path / "run").rglob("*.*"))))

        def shown(self, facts, picture, maps, lines=()):
            seen.append(("shown", facts, len(maps), sorted(path.suffix for path in (tmp_path / "run").rglob("*.*"))))

    explain(ExplainJob(sources=(str(pictures[0]),), model="scenes", trust="off", out=tmp_path / "run"), Watching())
    (first, early, count, before), (second, facts, count_then, after) = seen
    assert (first, second, count, count_then) == ("preview", "shown", 1, 1)
    assert ".jpg" not in before
    assert after.count(".jpg") == 2  # the map's, and all of them at a glance
    assert early["files"] == []
    assert {**early, "files": facts["files"]} == {name: facts[name] for name in early}
