"""Sweeps on Ray: trials killed half-way and gone on with, an estimator that chooses, and a sweep that is cancelled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from isotherm.runs.read import list_runs, read_run
from isotherm.train.sweep import trials_of

RECIPE = """
data:
  train: [{format: generated, count: 32, side: 64}]
  validation: [{format: generated, split: validation, count: 8, side: 64}]
  margin: 0.0
model: {widths: [8, 16], depth: 1, head_options: {widths: [8], groups: 4}}
training: {size: [64, 64], steps: 12, batch: 8, backbone_rate: 1.0, keep_every: 4, log_every: 4, schedule: {warm_up: 2}}
"""
SWEEP = """
recipe: toy.yaml
values:
  training.objective.sigma: [1.0, 2.0, 3.0]
  training.rate: [1e-3, 3e-3]
at_once: 2
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "toy.yaml").write_text(RECIPE)
    (tmp_path / "toy_sweep.yaml").write_text(SWEEP)
    return tmp_path


CODE = "import sys; from isotherm.cli import main; sys.exit(main(sys.argv[1:]))"


def start(folder, *arguments, code=CODE):
    """A process of its own: Ray and its workers outlive what a test may stop."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_trials_killed_half_way_and_gone_on_with(folder):
    sweep = folder / "runs" / "toy_sweep"
    process = start(folder, "sweep", "toy_sweep.yaml")
    deadline = time.monotonic() + 400
    while (
        time.monotonic() < deadline and process.poll() is None and len(list(sweep.glob("trials/*/evaluation.json"))) < 2
    ):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = {
        f.parent.name: (f.parent / "model.safetensors").stat().st_mtime_ns
        for f in sweep.glob("trials/*/evaluation.json")
    }
    assert 2 <= len(finished) < 6
    printed, _ = start(folder, "sweep", "toy_sweep.yaml").communicate(timeout=500)
    assert len(list(sweep.glob("trials/*/evaluation.json"))) == 6, printed
    for name, before in finished.items():
        assert (sweep / "trials" / name / "model.safetensors").stat().st_mtime_ns == before  # not trained again
    trials = trials_of(sweep, "point_err_px", {})
    assert len(trials) == 6
    assert all(t.step in (4, 8, 12) and t.best > 0 for t in trials)
    assert printed.count("finished") == 6, printed
    assert "6 trials (6 finished)" in (sweep / "report.html").read_text()


SCENES = """
training: {steps: 6, close_up_steps: 2, close_ups: 12, scenes: 20, batch: 4, keep_every: 2, log_every: 2, sizes: [[64, 64]]}
network: {size: [64, 64], widths: [4, 6, 8, 8]}
validated: 12
held_out: 4
"""
SCENES_SWEEP = """
recipe: scenes.yaml
task: scenes
search: tpe
trials: 3
at_once: 1
values: {training.rate: {low: 1.0e-5, high: 1.0e-2, log: true}}
stop_early: {grace: 1, factor: 2}
"""
JOB = """
import json, sys
from pathlib import Path
from isotherm.errors import JobCancelled
from isotherm.jobs.reporter import Reporter
from isotherm.jobs.sweep.options import SweepJob
from isotherm.jobs.sweep.run import run

class Console(Reporter):
    starts = 0
    def message(self, text, kind="note"):
        print(text, flush=True)
        self.starts += text.startswith("trial ") and text.endswith(" starts")
        if sys.argv[1] == "cancel" and self.starts == 2:
            self.cancel()

try:
    result = run(SweepJob(recipe=Path("scenes_sweep.yaml")), Console())
    print("ended with", *(trial.status for trial in result.trials), sep="; ")
except JobCancelled as error:
    print("cancelled:", error)
"""


def test_a_cancelled_sweep_keeps_its_trials_and_is_gone_on_with(folder):
    """Of scenes, as keypoints are swept, by an estimator that chooses, with bad trials that end early."""
    (folder / "scenes.yaml").write_text(SCENES)
    (folder / "scenes_sweep.yaml").write_text(SCENES_SWEEP)
    sweep = folder / "runs" / "scenes_sweep"
    printed, _ = start(folder, "cancel", code=JOB).communicate(timeout=500)
    assert "cancelled: the job was cancelled; what was finished is kept" in printed
    record = read_run(sweep)
    assert (record["job"], record["status"]) == ("sweep", "cancelled"), printed
    kept = {f.parent: f.stat().st_mtime_ns for f in sweep.glob("trials/*/model.safetensors")}
    assert len(kept) == 1, printed  # the first had ended when the second began
    assert "more score is better" in (sweep / "report.html").read_text()
    printed, _ = start(folder, "go on", code=JOB).communicate(timeout=500)
    trials = trials_of(sweep, "score", {}, better="more")
    assert len(trials) == 3, printed
    assert len({t.values["training.rate"] for t in trials}) == 3
    statuses = printed.strip().splitlines()[-1].split("; ")
    assert statuses[0] == "ended with", printed
    assert set(statuses[1:]) <= {"finished", "stopped early"}, printed
    assert trials[0].best >= trials[1].best >= trials[2].best > 0
    assert {dpath: (dpath / "model.safetensors").stat().st_mtime_ns for dpath in kept} == kept  # not trained again
    assert [s["status"] for s in read_run(sweep)["starts"]] == ["cancelled", "finished"]
    assert {(e.job, e.status) for e in list_runs(folder / "runs") if e.dpath == sweep} == {("sweep", "finished")}
    page = (sweep / "report.html").read_text()
    assert f"isotherm explain PICTURE --model scenes --weights {sweep.relative_to(folder) / 'trials'}" in page
