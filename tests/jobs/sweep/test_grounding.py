"""A sweep of trainings of grounding, stopped in its second trial and gone on with.

Trials run in this process; ``test_run.py`` beside this has sweeps on Ray.
"""

from __future__ import annotations

import csv
import re

import pytest
import yaml

from isotherm.cli import main
from isotherm.runs.read import read_run
from isotherm.train.grounding import run as grounding
from isotherm.train.grounding.build import open_grounding
from isotherm.train.sweep import trial_dpath, trials_of
from rigs.grounding import plain_recipe, tiny_folder
from rigs.trials_in_here import TrialsInHere

SWEEP = """
recipe: toy.yaml
task: grounding
values: {training.objective.sigma: [1.0, 2.0], training.rate: [0.01]}
"""
VALUES = [{"training.objective.sigma": sigma, "training.rate": 0.01} for sigma in (1.0, 2.0)]


@pytest.fixture
def trials(monkeypatch):
    """Trials without Ray."""
    monkeypatch.setattr(grounding, "EXTREMES", 0)
    return TrialsInHere(monkeypatch)


def test_a_sweep_of_grounding_is_stopped_and_gone_on_with(tmp_path, monkeypatch, capsys, trials):
    """The recipe names its model's folder from where the command is given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.yaml").write_text(
        yaml.safe_dump(plain_recipe(tiny_folder(tmp_path / "tiny").relative_to(tmp_path)))
    )
    (tmp_path / "toy_sweep.yaml").write_text(SWEEP)
    sweep = tmp_path / "runs" / "toy_sweep"
    dpaths = [trial_dpath(sweep, values) for values in VALUES]
    trials.stop_at = 3  # the second trial has been validated once
    assert main(["sweep", "toy_sweep.yaml", "--quiet"]) == 130
    assert read_run(sweep)["status"] == "interrupted"
    assert [(dpath / "evaluation.json").is_file() for dpath in dpaths] == [True, False]
    first = (dpaths[0] / "model.safetensors").stat().st_mtime_ns
    trials.reports.clear()
    trials.stop_at = None
    capsys.readouterr()
    assert main(["sweep", "toy_sweep.yaml"]) == 0
    table = capsys.readouterr().out
    assert table.count("finished") == 2
    assert all(word in table for word in ("sigma", "rate", "err_px", "hit", "runs/toy_sweep/report.html"))
    assert (dpaths[0] / "model.safetensors").stat().st_mtime_ns == first  # not trained again
    assert [start["status"] for start in read_run(dpaths[1])["starts"]] == ["interrupted", "finished"]
    assert [figures["step"] for figures in trials.reports] == [3, 6, 3, 6]  # what was known is told again
    found = trials_of(sweep, "err_px", {})
    assert [trial.best for trial in found] == sorted(trial.best for trial in found)
    page = re.sub("&quot;", '"', (sweep / "report.html").read_text())
    best = found[0].dpath.relative_to(tmp_path)
    assert f'isotherm predict grounding PICTURE "INSTRUCTION" --run {best}' in page
    assert "2 trials (2 finished)" in page
    with (sweep / "trials.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    trained, _ = open_grounding(best)
    assert trained.objective.sigma == found[0].values["training.objective.sigma"]
