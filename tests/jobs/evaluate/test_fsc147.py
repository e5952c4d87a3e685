"""The job of judging counts without a console: cancelled, its record says so, and the same job goes on with it."""

from __future__ import annotations

import json

import pytest

from isotherm.data.fsc147 import write_generated_fsc147
from isotherm.errors import JobCancelled
from isotherm.jobs.evaluate.fsc147 import run
from isotherm.jobs.evaluate.fsc147_options import EvalFsc147Job
from isotherm.models.choose import OpenModel
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.runs.read import list_runs, read_run
from isotherm.systems.counting_evaluation import read_rows
from isotherm.zoo.tiny_vlm.network import random_tiny_vlm, tiny_processor
from rigs.reporters import Listening


def test_a_cancelled_judgement_keeps_its_pictures_and_is_gone_on_with(tmp_path):
    data, out = write_generated_fsc147(tmp_path / "fsc", count=6), tmp_path / "out"
    options = EvalFsc147Job(
        data=data, out=out, model="tiny-vlm", split="test", strategy="global", prompt="how many {category} ?", limit=3
    )
    opened = OpenModel(TransformersVlm(random_tiny_vlm(0), tiny_processor(), name="tiny"), "given by the test")
    reporter = Listening(cancel_at=lambda event: getattr(event, "step", 0) == 1)
    with pytest.raises(JobCancelled):
        run(options, reporter, opened=opened)
    assert [step.step for step in reporter.steps] == [1]
    record = read_run(out)
    assert (record["job"], record["status"]) == ("eval", "cancelled")
    assert not (out / "results.json").exists()
    kept = read_rows(out / "pictures.jsonl")
    assert len(kept) == 1
    again = Listening()
    figures = run(options, again, opened=opened)
    assert ("note", "1 picture(s) are done already; going on with the others") in again.messages
    assert figures["pictures"] == 3
    assert json.loads((out / "results.json").read_text())["mae"] == figures["mae"]
    assert read_rows(out / "pictures.jsonl")[:1] == kept
    assert [start["status"] for start in read_run(out)["starts"]] == ["cancelled", "finished"]
    assert [(entry.job, entry.status) for entry in list_runs(tmp_path)] == [("eval", "finished")]
