"""Sweeps on Ray: trials killed half-way and gone on with, an estimator that chooses, and a sweep that is cancelled.

Most of the time goes into starting Ray and its workers: the first sweep starts a Ray of its own, the second finds a
cluster.
"""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from isotherm.cli import main
from isotherm.errors import JobCancelled, OptionError
from isotherm.jobs.reporter import Reporter
from isotherm.jobs.sweep import run as job
from isotherm.jobs.sweep.options import SweepJob
from isotherm.runs.read import list_runs, read_run
from isotherm.train.sweep import trial_dpath, trials_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own code

RECIPE = """
data:
  train: [{format: generated, count: 8, side: 64}]
  validation: [{format: generated, split: validation, count: 2, side: 64}]
  margin: 0.0
model: {widths: [8, 16], depth: 1, head_options: {widths: [8], groups: 4}}
training: {size: [64, 64], steps: 6, batch: 8, backbone_rate: 1.0, keep_every: 2, log_every: 2, schedule: {warm_up: 2}}
"""
SWEEP = """
recipe: toy.yaml
values:
  training.objective.sigma: [1.0, 2.0, 3.0]
  training.rate: [1e-3]
at_once: 2
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "toy.yaml").write_text(RECIPE)
    (tmp_path / "toy_sweep.yaml").write_text(SWEEP)
    return tmp_path


NO_COMPILER = """
import sys
from types import ModuleType
compiler = sys.modules["torch._dynamo"] = ModuleType("torch._dynamo")
compiler.disable, compiler.graph_break = lambda function, *_, **__: function, lambda *_, **__: None
"""
"""What a program that trains starts with: torch's optimisers load its compiler to say that it leaves them alone, a third of its time."""


@pytest.fixture(scope="module", autouse=True)
def no_compiler(tmp_path_factory):
    """What Ray starts does without torch's compiler; nothing of this process does."""
    (dpath := tmp_path_factory.mktemp("start") / "sitecustomize.py").write_text(NO_COMPILER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(dpath.parent), prepend=os.pathsep)
        yield


AHEAD = "ray.tune", "isotherm.train.ray_tune", "isotherm.train.keypoint_run"
"""What the workers of the cluster import before a sweep asks for them."""
CLUSTER = """
import sys
import ray
context = ray.init(
    num_cpus=2, _node_ip_address="127.0.0.1", include_dashboard=False, log_to_driver=False, configure_logging=False
)
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()  # until the tests end
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a Ray, as a function that waits for it: it starts while a test prepares its sweep."""
    ahead = {"RAY_prestart_worker_first_driver": "1", "RAY_preload_python_modules": ",".join(AHEAD)}
    errors = (place := tmp_path_factory.mktemp("cluster")) / "errors.txt"
    with errors.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CLUSTER],
            env={**os.environ, **ahead},
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            start_new_session=True,
        )
    with pytest.MonkeyPatch.context() as patch:

        @cache
        def address():
            from ray.tune.execution import class_cache

            # what Ray hands on to trials for itself and another framework: for that it would start other workers than wait
            patch.setattr(class_cache, "DEFAULT_ENV_VARS", {})
            patch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", set())
            address = process.stdout.readline().strip()
            assert address, f"Ray did not start:\n{errors.read_text()}"
            return address

        yield address
    process.communicate()


def test_a_ray_is_started_with_room_for_a_trial(folder, monkeypatch):
    """What a trial is to have may be more than this machine has."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    (folder / "one_sweep.yaml").write_text(SWEEP.replace("at_once: 2", "cpus: 3"))
    options = {}

    def init(**asked):
        options.update(asked)
        raise ConnectionError("not started")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr("isotherm.train.ray_tune.os.cpu_count", lambda: 2)
    monkeypatch.chdir(folder)
    with pytest.raises(OptionError, match="not started"):
        job.run(SweepJob(recipe=Path("one_sweep.yaml")))
    assert options["num_cpus"] == 3
    assert "address" not in options


def workers_of(raylet: int) -> list[str]:
    """What the workers were started with that a raylet has."""
    fpath = Path(f"/proc/{raylet}/task/{raylet}/children")
    words = [Path(f"/proc/{pid}/cmdline").read_text() for pid in fpath.read_text().split()] if fpath.exists() else []
    return [line for line in words if ("worker" in line or "ray::" in line) and "agent" not in line.lower()]


KILLED = (
    NO_COMPILER
    + """
import os, signal
from isotherm.cli import main
from isotherm.jobs.sweep import run as job
from isotherm.train.ray_tune import _noted
from isotherm.train.sweep import trial_dpath, with_values

def one_and_a_half(sweep, *, dpath, **rest):
    for values in sweep.config.listed():
        _noted(dpath, values)
    for values, killed_at in zip(sweep.config.listed(), (None, 4), strict=False):
        sweep.module.train_run(
            sweep.module.recipe_from(with_values(sweep.recipe, values)),
            trial_dpath(dpath, values),
            root=sweep.root,
            cache_dpath=dpath / ".cache",
            on_validation=lambda step, figures, at=killed_at: step == at and os.kill(os.getpid(), signal.SIGKILL),
        )
    return {}

job.run_trials = one_and_a_half
sys.exit(main(["sweep", "toy_sweep.yaml", "--quiet", "--debug"]))
"""
)
"""A sweep that does in its own process what Ray does with trials, and is killed when the second one has validated twice."""


@pytest.mark.slow
def test_trials_killed_half_way_and_gone_on_with(folder, programs, monkeypatch, capsys):
    """Two at once, in a Ray that the sweep starts, with no process started ahead for nothing, and ends; ``python -m bench sweeps`` kills sweeps together with the Ray that they started."""
    sweep = folder / "runs" / "toy_sweep"
    ended = programs.run(KILLED, cwd=folder)
    assert ended.returncode == -signal.SIGKILL, ended
    dpaths = [
        trial_dpath(sweep, {"training.objective.sigma": sigma, "training.rate": 1e-3}) for sigma in (1.0, 2.0, 3.0)
    ]
    first = dpaths[0] / "model.safetensors"
    before = first.stat().st_mtime_ns
    assert [(d / "checkpoint.pt").is_file() for d in dpaths] == [True, True, False], capsys.readouterr()
    assert [(d / "evaluation.json").is_file() for d in dpaths] == [True, False, False]
    assert read_run(sweep)["status"] == "running"
    figures = dpaths[1] / "metrics.csv"
    marked = re.sub("^2,[^,]*", "2,123.0", figures.read_text(), count=1, flags=re.MULTILINE)
    figures.write_text(marked)
    monkeypatch.chdir(folder)
    ray = pytest.importorskip("ray", reason="ray is not installed")
    init, ahead = ray.init, []

    def started(**options):
        init(**options)
        ahead.extend(workers_of(ray._private.worker._global_node.all_processes["raylet"][0].process.pid))

    monkeypatch.setattr(ray, "init", started)
    assert main(["sweep", "toy_sweep.yaml"]) == 0
    assert ahead == []
    assert not ray.is_initialized()
    printed, told = capsys.readouterr()
    assert first.stat().st_mtime_ns == before  # not trained again
    starts = [[start["status"] for start in read_run(d)["starts"]] for d in dpaths]
    assert starts == [["finished"], ["running", "finished"], ["finished"]], printed
    with figures.open() as file:
        rows = [(int(row["step"]), row["loss"]) for row in csv.DictReader(file)]
    assert [step for step, _ in rows] == [2, 2, 4, 4, 6, 6]
    assert rows[0] == (2, "123.0")  # what came before the checkpoint was not trained again
    trials = trials_of(sweep, "point_err_px", {})
    assert {t.dpath for t in trials} == set(dpaths)
    assert all(t.step in (2, 4, 6) and t.best > 0 for t in trials)
    assert printed.count("finished") == 3, printed
    assert sorted(re.findall("trial sigma=(.), rate=0.001 starts", told)) == ["2", "3"], told  # two at once
    assert "3 trials (3 finished)" in (sweep / "report.html").read_text()


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
trials: 2
at_once: 1
values: {training.rate: {low: 1.0e-5, high: 1.0e-2, log: true}}
stop_early: {grace: 1, factor: 2}
"""


class Console(Reporter):
    """Keeps what a sweep says, and cancels it when a trial starts, counted from 1."""

    def __init__(self, cancel_at: int = 0) -> None:
        super().__init__()
        self.cancel_at, self.lines = cancel_at, []

    def message(self, text, kind="note"):
        self.lines.append(text)
        if text.endswith(" starts") and sum(line.endswith(" starts") for line in self.lines) == self.cancel_at:
            self.cancel()


def test_a_cancelled_sweep_keeps_its_trials_and_is_gone_on_with(folder, cluster, monkeypatch):
    """Of scenes, as keypoints are swept, by an estimator that chooses, with bad trials that end early."""
    (folder / "scenes.yaml").write_text(SCENES)
    (folder / "scenes_sweep.yaml").write_text(SCENES_SWEEP)
    monkeypatch.chdir(folder)
    sweep, options = Path("runs/scenes_sweep"), SweepJob(recipe=Path("scenes_sweep.yaml"), address=cluster())
    console = Console(cancel_at=2)
    with pytest.raises(JobCancelled, match="the job was cancelled; what was finished is kept"):
        job.run(options, console)
    record = read_run(sweep)
    assert (record["job"], record["status"]) == ("sweep", "cancelled"), console.lines
    kept = {f.parent: f.stat().st_mtime_ns for f in sweep.glob("trials/*/model.safetensors")}
    assert len(kept) == 1, console.lines  # the first had ended when the second began
    assert "more score is better" in (sweep / "report.html").read_text()
    result = job.run(options, console := Console())
    trials = trials_of(sweep, "score", {}, better="more")
    assert len(trials) == 2, console.lines
    assert len({t.values["training.rate"] for t in trials}) == 2
    assert {t.status for t in result.trials} <= {"finished", "stopped early"}, console.lines
    assert trials[0].best >= trials[1].best > 0
    assert {dpath: (dpath / "model.safetensors").stat().st_mtime_ns for dpath in kept} == kept  # not trained again
    assert [s["status"] for s in read_run(sweep)["starts"]] == ["cancelled", "finished"]
    assert {(e.job, e.status) for e in list_runs(Path("runs")) if e.dpath == sweep} == {("sweep", "finished")}
    page = (sweep / "report.html").read_text()
    assert f"isotherm explain PICTURE --model scenes --weights {sweep / 'trials'}" in page
