"""Sweeps on Ray: an estimator that chooses, a sweep that is cancelled, and trials killed half-way and gone on with.

Most of the time goes into starting Ray and its workers, so one Ray serves all sweeps here: the one that the first of
them starts. What becomes of trials that were killed is no matter of Ray: they are gone on with in this process.
"""

from __future__ import annotations

import csv
import os
import re
import signal
from pathlib import Path

import pytest

from isotherm.cli import main
from isotherm.errors import JobCancelled, OptionError
from isotherm.jobs.reporter import Reporter
from isotherm.jobs.sweep import run as job
from isotherm.jobs.sweep.options import SweepJob
from isotherm.jobs.train.recipe_modules import recipe_module
from isotherm.runs.read import list_runs, read_run
from isotherm.train import ray_tune
from isotherm.train.sweep import read_sweep, trial_dpath, trials_of
from rigs.no_compiler import NO_COMPILER
from rigs.trials_in_here import TrialsInHere

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


@pytest.fixture(scope="module", autouse=True)
def no_compiler(tmp_path_factory):
    """What Ray starts does without torch's compiler; nothing of this process does."""
    (dpath := tmp_path_factory.mktemp("start") / "sitecustomize.py").write_text(NO_COMPILER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(dpath.parent), prepend=os.pathsep)
        yield


SCENES = """
training:
  {steps: 6, close_up_steps: 2, close_ups: 12, scenes: 20, batch: 4, keep_every: 2, log_every: 2, sizes: [[64, 64]]}
network: {size: [64, 64], widths: [4, 6, 8, 8]}
validated: 12
held_out: 4
"""
SCENES_SWEEP = """
recipe: scenes.yaml
task: scenes
search: tpe
trials: 3
at_once: 2
values: {training.rate: {low: 1.0e-5, high: 1.0e-2, log: true}}
stop_early: {grace: 1, factor: 2}
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with a sweep of scenes."""
    dpath = tmp_path_factory.mktemp("scenes")
    (dpath / "scenes.yaml").write_text(SCENES)
    (dpath / "scenes_sweep.yaml").write_text(SCENES_SWEEP)
    return dpath


def workers_of(raylet: int) -> list[str]:
    """What the workers were started with that a raylet has."""
    fpath = Path(f"/proc/{raylet}/task/{raylet}/children")
    words = [Path(f"/proc/{pid}/cmdline").read_text() for pid in fpath.read_text().split()] if fpath.exists() else []
    return [line for line in words if ("worker" in line or "ray::" in line) and "agent" not in line.lower()]


class OneRay:
    """A Ray that the first sweep starts as it starts its own, and that later ones find where they would start theirs.

    Attributes:
        options: what the first sweep started it with.
        ahead: the workers that it had at once.
        ends: how often a sweep ended it; it goes on until :meth:`close`.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._ray = pytest.importorskip("ray", reason="ray is not installed")
        self._start, self._end = self._ray.init, self._ray.shutdown
        self.options, self.ahead, self.ends = {}, [], 0
        patch.setattr(self._ray, "init", self._init)
        patch.setattr(self._ray, "shutdown", self._shutdown)

    def _init(self, **options):
        if self.options:
            assert options == self.options
            return
        self._start(**options)
        self.options, self.ahead = options, self.workers()
        raise ConnectionError("started")  # starting it is enough for the first sweep

    def _shutdown(self):
        self.ends += 1

    def workers(self) -> list[str]:
        """What its workers were started with."""
        return workers_of(self._ray._private.worker._global_node.all_processes["raylet"][0].process.pid)

    def close(self) -> None:
        """End it."""
        self._end()
        assert not self._ray.is_initialized()


@pytest.fixture(scope="module")
def one_ray(scenes):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(scenes)
        made = OneRay(patch)
        try:
            with pytest.raises(OptionError, match="started"):
                job.run(SweepJob(recipe=Path("scenes_sweep.yaml"), out=Path("runs/none")))
            patch.chdir("/")
            yield made
        finally:
            made.close()


class Console(Reporter):
    """Keeps what a sweep says and the workers that there are when its second trial starts, and cancels it.

    Args:
        ray: that it runs on.
        cancel_at: the trial, counted from 1, whose start cancels it; 0: it runs to its end.
    """

    def __init__(self, ray: OneRay, *, cancel_at: int = 0) -> None:
        super().__init__()
        self.ray, self.cancel_at, self.lines, self.workers = ray, cancel_at, [], []

    def message(self, text, kind="note"):
        self.lines.append(text)
        if not text.endswith(" starts"):
            return
        count = sum(line.endswith(" starts") for line in self.lines)
        if count == 2:
            self.workers = self.ray.workers()
        if count == self.cancel_at:
            self.cancel()


@pytest.fixture(scope="module")
def cancelled(one_ray, scenes):
    """What was said in a sweep that was cancelled when the third of its trials started."""
    console = Console(one_ray, cancel_at=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(scenes)
        with pytest.raises(JobCancelled, match="the job was cancelled; what was finished is kept"):
            job.run(SweepJob(recipe=Path("scenes_sweep.yaml")), console)
    return console


def test_a_sweep_starts_a_ray_of_its_own(one_ray):
    """With no process started ahead for nothing."""
    assert one_ray.ahead == []
    assert "address" not in one_ray.options


def test_a_cancelled_sweep_keeps_its_trials(one_ray, scenes, cancelled):
    """Of scenes, as keypoints are swept, two at once."""
    assert len(cancelled.workers) == 2, cancelled.workers
    assert one_ray.ends == 1
    sweep = scenes / "runs" / "scenes_sweep"
    record = read_run(sweep)
    assert (record["job"], record["status"]) == ("sweep", "cancelled"), cancelled.lines
    kept = list(sweep.glob("trials/*/model.safetensors"))
    assert len(kept) in (1, 2), cancelled.lines  # one of the first two had ended when the third began
    assert "more score is better" in (sweep / "report.html").read_text()


def test_a_cancelled_sweep_is_gone_on_with(one_ray, scenes, cancelled, monkeypatch):
    """By an estimator that chooses, with bad trials that end early."""
    monkeypatch.chdir(scenes)
    sweep = Path("runs/scenes_sweep")
    ends = one_ray.ends
    kept = {f.parent: f.stat().st_mtime_ns for f in sweep.glob("trials/*/model.safetensors")}
    result = job.run(SweepJob(recipe=Path("scenes_sweep.yaml")), console := Console(one_ray))
    assert one_ray.ends == ends + 1
    trials = trials_of(sweep, "score", {}, better="more")
    assert len(trials) == 3, console.lines
    assert len({t.values["training.rate"] for t in trials}) == 3
    assert {t.status for t in result.trials} <= {"finished", "stopped early"}, console.lines
    assert trials[0].best >= trials[1].best >= trials[2].best > 0
    assert {dpath: (dpath / "model.safetensors").stat().st_mtime_ns for dpath in kept} == kept  # not trained again
    assert [s["status"] for s in read_run(sweep)["starts"]] == ["cancelled", "finished"]
    assert {(e.job, e.status) for e in list_runs(Path("runs")) if e.dpath == sweep} == {("sweep", "finished")}
    page = (sweep / "report.html").read_text()
    assert f"isotherm explain PICTURE --model scenes --weights {sweep / 'trials'}" in page


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "toy.yaml").write_text(RECIPE)
    (tmp_path / "toy_sweep.yaml").write_text(SWEEP)
    return tmp_path


@pytest.mark.parametrize(
    ("cpus", "address", "options", "says"),
    [
        # what a trial is to have may be more than this machine has
        (3, None, {"num_cpus": 3, "_node_ip_address": "127.0.0.1"}, "at None"),
        (1, None, {"num_cpus": 2, "_node_ip_address": "127.0.0.1"}, "at None"),
        (3, "ray://head:10001", {"address": "ray://head:10001"}, "at 'ray://head:10001'"),
    ],
)
def test_a_ray_is_started_with_room_for_a_trial_or_looked_for(folder, monkeypatch, cpus, address, options, says):
    ray = pytest.importorskip("ray", reason="ray is not installed")
    (folder / "one_sweep.yaml").write_text(SWEEP.replace("at_once: 2", f"cpus: {cpus}"))
    asked = {}

    def init(**rest):
        asked.update(rest)
        raise ConnectionError("not started")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr("isotherm.train.ray_tune.os.cpu_count", lambda: 2)
    monkeypatch.chdir(folder)
    with pytest.raises(OptionError, match=f"{says} .not started"):
        job.run(SweepJob(recipe=Path("one_sweep.yaml"), address=address))
    quiet = {"include_dashboard": False, "log_to_driver": False, "configure_logging": False}
    assert asked == quiet | options


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
"""A sweep that does in its own process what Ray does with trials, and is killed when the second has validated twice."""


def test_trials_killed_half_way_and_gone_on_with(folder, programs, monkeypatch, capsys):
    """``python -m bench sweeps`` kills sweeps together with the Ray that they started."""
    pytest.importorskip("ray", reason="ray is not installed")
    sweep = folder / "runs" / "toy_sweep"
    ended = programs.run(KILLED, cwd=folder)
    assert ended.returncode == -signal.SIGKILL, ended
    values = [{"training.objective.sigma": sigma, "training.rate": 1e-3} for sigma in (1.0, 2.0, 3.0)]
    dpaths = [trial_dpath(sweep, each) for each in values]
    first = dpaths[0] / "model.safetensors"
    before = first.stat().st_mtime_ns
    assert [(d / "checkpoint.pt").is_file() for d in dpaths] == [True, True, False], capsys.readouterr()
    assert [(d / "evaluation.json").is_file() for d in dpaths] == [True, False, False]
    assert read_run(sweep)["status"] == "running"
    figures = dpaths[1] / "metrics.csv"
    marked = re.sub("^2,[^,]*", "2,123.0", figures.read_text(), count=1, flags=re.MULTILINE)
    figures.write_text(marked)
    monkeypatch.chdir(folder)
    space, search, samples = ray_tune._searched(read_sweep(Path("toy_sweep.yaml"), recipe_module), sweep)
    assert (space, search, samples) == ({"trial": {"grid_search": values[1:]}}, None, 1)  # what Ray is to try yet
    TrialsInHere(monkeypatch)
    assert main(["sweep", "toy_sweep.yaml"]) == 0
    printed = capsys.readouterr().out
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
    assert "3 trials (3 finished)" in (sweep / "report.html").read_text()
