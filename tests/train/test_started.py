"""What is around every training: one folder for all processes, a record of the start, and a tracker that is finished."""

from __future__ import annotations

import json
import types

import pytest

from isotherm.train.run_folder import RunFolder
from isotherm.train.started import agreed_folder, started_run
from isotherm.train.tracker import Tracker
from isotherm.train.tracking import Tracking


class Heard(Tracker):
    """Keeps what it is told."""

    def __init__(self):
        self.rows, self.ends = [], []

    def log(self, row):
        self.rows.append(row)

    def picture(self, name, rgb, step):
        pass

    def finish(self, *, failed):
        self.ends.append(failed)


def process(*, first, agreed=None):
    """One process of a run, which is told by the first one what all of them agree on."""
    return types.SimpleNamespace(
        first=first, world=2, device="cpu", agree=lambda text: text if agreed is None else str(agreed)
    )


@pytest.fixture
def heard(monkeypatch):
    made = []

    def tracker(self, dpath, recipe, *, job="train"):
        made.append(Heard())
        return made[-1]

    monkeypatch.setattr(Tracking, "tracker", tracker)
    return made


def started(folder, worker):
    return started_run(
        folder,
        "keypoints",
        tracking=Tracking(),
        recipe={},
        worker=worker,
        root=folder.dpath.parent,
        command="isotherm train keypoints --config 'a b.yaml'",
        more=3,
    )


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ValueError])
def test_a_start_is_recorded_and_its_tracker_finished_whatever_happens(tmp_path, heard, error, unchecked):
    folder = RunFolder(tmp_path / "run", {})
    try:
        with started(folder, process(first=True)):
            folder.log({"step": 1, "loss": 2.0})
            if error is not None:
                raise error
    except (KeyboardInterrupt, ValueError):
        pass
    assert [(one.rows, one.ends) for one in heard] == [([{"step": 1, "loss": 2.0}], [error is not None])]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["job"], record["recipe"], record["more"]) == ("train", "keypoints", 3)
    assert record["root"] == str(tmp_path.resolve())
    assert (record["starts"][0]["processes"], record["starts"][0]["device"]) == (2, "cpu")
    assert record["starts"][0]["threads"] == 1
    assert (record["status"] == "finished") == (error is None)


def test_the_other_processes_take_the_folder_of_the_first_and_write_nothing(tmp_path, heard, unchecked):
    calls, lines = [], []

    def make():
        calls.append(1)
        return tmp_path / "run"

    mine = agreed_folder(make, "keypoints", worker=process(first=True), say=lines.append)
    other = agreed_folder(make, "keypoints", worker=process(first=False, agreed=mine), say=lambda line: None)
    assert mine == other == tmp_path / "run"
    assert len(calls) == 1
    assert lines == [f"run {mine}; if it is interrupted, go on with: isotherm train keypoints --resume {mine}"]
    with started(RunFolder(mine, {}), process(first=False)):
        pass
    assert heard == []
    assert not (mine / "run.json").exists()
