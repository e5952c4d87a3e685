"""What an instruction means, of every picture that can be read: a drawing, a map, and JSON; unsure ones are left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.decode import Abstention
from isotherm.errors import OptionError
from isotherm.grounding.answer import Calibration
from isotherm.grounding.outputs import Outputs
from isotherm.heatmap import Heatmap
from isotherm.jobs.predict.grounding import doubts, run
from isotherm.jobs.predict.grounding_options import PredictGroundingJob
from isotherm.runs.read import read_items, read_run
from rigs.grounding import random_trained
from rigs.reporters import Listening


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (40, 60)), ("b.png", (30, 30))):
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_picture_gets_a_drawing_a_map_and_its_places(families, pictures):
    trained = random_trained(families("paligemma")[0])
    job = PredictGroundingJob(sources=("a.png", "bad.png", "b.png", "the red one"), features=True, most=3)
    summary = run(job, opened=(trained, "a model"))
    assert summary.done == 2
    assert "bad.png" in summary.failed[0][0]
    whole = json.loads((summary.dpath / "places.json").read_text())
    assert whole["instruction"] == "the red one"
    assert [p["picture"] for p in whole["pictures"]] == ["a.png", "b.png"]
    (step,) = whole["pictures"][0]["steps"]
    assert step["answered"]
    assert 0 <= step["places"][0]["x"] <= 60
    assert 0 <= step["places"][0]["y"] <= 40
    assert sum(place["share"] for place in step["places"]) == pytest.approx(1, abs=1e-3)
    heatmap = Heatmap.load(summary.dpath / "a.npz")
    assert heatmap.frame.source_size.tolist() == [40, 60]
    assert heatmap.kind == "logits"
    with Image.open(summary.dpath / "a.jpg") as drawn:
        assert drawn.width >= 512
    with np.load(summary.dpath / "features.npz") as file:
        assert sorted(file.files) == ["a", "b"]
        assert file["a"].shape == (1, 48)
    assert [item["status"] for item in read_items(summary.dpath)] == ["failed", "done", "done"]
    assert read_run(summary.dpath)["status"] == "finished"


def test_where_it_is_not_sure_it_says_so_instead_of_a_place(families, pictures):
    never = Calibration(abstention=Abstention(float("inf"), 0.0, 1.0, 0.0))
    trained = random_trained(families("paligemma")[0], calibration=never)
    reporter = Listening()
    summary = run(PredictGroundingJob(sources=("a.png",), text="the red one"), reporter, opened=(trained, "a model"))
    (step,) = json.loads((summary.dpath / "places.json").read_text())["pictures"][0]["steps"]
    assert step["answered"] is False
    assert step["places"] == []
    assert any("not sure enough to answer" in text for _, text in reporter.messages)
    assert any("answers nothing" in text for _, text in reporter.messages)
    forced = run(PredictGroundingJob(sources=("a.png",), text="the red one", always=True), opened=(trained, "a model"))
    (step,) = json.loads((forced.dpath / "places.json").read_text())["pictures"][0]["steps"]
    assert step["answered"] is False
    assert step["places"]


def test_several_views_steps_and_grasps(families, pictures):
    trained = random_trained(families("qwen3_vl")[0], views=2, outputs=Outputs(steps=2, grasp=True))
    summary = run(PredictGroundingJob(sources=("a.png", "b.png"), text="red"), opened=(trained, "a model"))
    whole = json.loads((summary.dpath / "places.json").read_text())
    assert [len(p["steps"]) for p in whole["pictures"]] == [2, 2]
    assert all(0 <= step["grasp"]["angle_deg"] < 180 for p in whole["pictures"] for step in p["steps"])
    assert sorted(f.name for f in summary.dpath.glob("*.npz")) == [
        "a.step1.npz",
        "a.step2.npz",
        "b.step1.npz",
        "b.step2.npz",
    ]
    with pytest.raises(OptionError, match="asked about 2 pictures at once, and 1 are left over"):
        run(PredictGroundingJob(sources=("a.png",), text="red"), opened=(trained, "a model"))


def test_every_picture_that_is_left_out_of_a_prompt_is_reported(families, pictures):
    trained = random_trained(families("qwen3_vl")[0], views=2)
    reporter = Listening()
    job = PredictGroundingJob(sources=("a.png", "bad.png", "b.png", "a.png"), text="red")
    summary = run(job, reporter, opened=(trained, "a model"))
    assert summary.done == 2  # the second prompt
    (first, why), (second, reason) = summary.failed
    assert (first, second) == ("bad.png", "a.png")
    assert "not a picture" in why or "cannot be read" in why or "bad.png" in why
    assert reason == "left out: the model is asked about 2 pictures at once, and bad.png could not be read"
    assert [item["status"] for item in read_items(summary.dpath)] == ["failed", "failed", "done", "done"]
    told = [text for kind, text in reporter.messages if kind == "failure"]
    assert [text.startswith(name) for text, name in zip(told, ("bad.png is not", "a.png: left out"), strict=True)] == [
        True,
        True,
    ]


def test_a_picture_whose_map_is_nan_is_left_out_and_the_others_are_kept(families, pictures):
    trained = random_trained(families("paligemma")[0])
    trained.model.head.register_forward_hook(lambda module, given, maps: maps.index_fill(0, torch.tensor(0), torch.nan))
    reporter = Listening()
    job = PredictGroundingJob(sources=("a.png", "b.png"), text="red", features=True)
    summary = run(job, reporter, opened=(trained, "a model"))
    ((name, why),) = summary.failed
    assert (name, summary.done) == ("a.png", 1)
    assert "the model's map holds NaN (" in why
    assert "training may have diverged" in why
    assert [text.partition(":")[0] for kind, text in reporter.messages if kind == "failure"] == ["a.png"]
    whole = json.loads((summary.dpath / "places.json").read_text(), parse_constant=pytest.fail)
    assert [p["picture"] for p in whole["pictures"]] == ["b.png"]
    assert sorted(f.name for f in summary.dpath.glob("?.*")) == ["b.jpg", "b.npz"]
    with np.load(summary.dpath / "features.npz") as file:
        assert file.files == ["b"]


def test_a_long_instruction_is_shortened_in_drawings_and_whole_in_the_record(families, pictures):
    trained = random_trained(families("paligemma")[0])
    text = "the red one and " * 60
    reporter = Listening()
    summary = run(PredictGroundingJob(sources=("a.png",), text=text), reporter, opened=(trained, "a model"))
    assert json.loads((summary.dpath / "places.json").read_text())["instruction"] == text
    with Image.open(summary.dpath / "a.jpg") as drawn:
        assert drawn.height < 650  # 360 of the picture, the rest its title and its command
    (line,) = [text for kind, text in reporter.messages if kind == "result"]
    assert "..." in line
    assert "confidence" in line
    assert len(line) < 250
    with pytest.raises(
        OptionError, match=r"the text and its pictures are 4,\d\d\d tokens, and .* reads at most 1,024; shorten"
    ):
        run(PredictGroundingJob(sources=("a.png",), text="red " * 4000), opened=(trained, "a model"))


def test_a_stopped_job_keeps_what_it_found(families, pictures):
    class Stopping(Listening):
        def item(self, facts):
            raise KeyboardInterrupt

    trained = random_trained(families("paligemma")[0])
    job = PredictGroundingJob(sources=("a.png", "b.png"), text="red", batch=1)
    summary = run(job, Stopping(), opened=(trained, "a model"))
    assert (summary.status, summary.done) == ("interrupted", 1)
    assert read_run(summary.dpath)["status"] == "interrupted"
    assert (summary.dpath / "places.json").is_file()


def test_a_cancelled_job_says_so(families, pictures):
    trained = random_trained(families("paligemma")[0])
    job = PredictGroundingJob(sources=("a.png", "b.png"), text="red", batch=1)
    summary = run(job, Listening(cancel_after=1), opened=(trained, "a model"))
    assert summary.status == "cancelled"
    assert summary.done == 1


def test_a_missing_instruction_is_noticed(families, pictures):
    trained = random_trained(families("paligemma")[0])
    with pytest.raises(OptionError, match=r"b\.png is a file, and stands where the instruction belongs"):
        run(PredictGroundingJob(sources=("a.png", "b.png")), opened=(trained, "a model"))
    with pytest.raises(OptionError, match="where a picture and an instruction belong"):
        PredictGroundingJob(sources=("a.png",))
    with pytest.raises(OptionError, match="the instruction is empty"):
        PredictGroundingJob(sources=("a.png", " "))


def test_what_is_known_of_a_model_is_told(families):
    trained = random_trained(families("paligemma")[0])
    assert "without held-out instructions" in doubts(trained)[0]
    rule = Calibration(abstention=Abstention(0.6, 0.05, 0.1, 0.8))
    sure = random_trained(families("paligemma")[0], calibration=rule)
    sure.model.instruction_change = 0.0
    lines = doubts(sure)
    assert "at least 60%: then at most 10% of its answers are wrong" in lines[0]
    assert "do not depend on the instruction" in lines[1]
