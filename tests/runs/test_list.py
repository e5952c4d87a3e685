"""The list of runs: every kind of run, newest first, and what was passed over with the reason."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import isotherm
from isotherm.errors import InputError
from isotherm.runs import read
from isotherm.runs.file import RunFile
from isotherm.runs.read import list_runs, read_items, read_run
from isotherm.runs.record import Run


def make(root, job="explain", **facts):
    with Run(job, root=root, command=["isotherm", job], **facts) as run:
        run.done("a")
    return run.dpath


def date(dpath, started):
    record = json.loads((dpath / "run.json").read_text())
    (dpath / "run.json").write_text(json.dumps(record | {"started": started}))


@pytest.mark.parametrize("job", ["explain", "count", "predict", "eval", "train", "sweep", "demo"])
def test_a_run_of_every_job_with_its_items(tmp_path, job):
    with Run(job, root=tmp_path, command=["isotherm", job, "a b"], model="x") as run:
        run.done("a")
        run.done("b")
        run.failed("c", "damaged")
    (entry,) = list_runs(tmp_path)
    assert (entry.dpath, entry.job, entry.command) == (tmp_path / f"{job}-001", job, f"isotherm {job} 'a b'")
    assert (entry.status, entry.done, entry.failed) == ("finished", 2, 1)
    assert entry.started == datetime.fromisoformat(read_run(run.dpath)["started"])
    assert entry.seconds == read_run(run.dpath)["seconds"]


def test_a_run_that_was_killed_and_one_without_items_have_no_counts(tmp_path):
    (tmp_path / "killed").mkdir()
    RunFile(tmp_path / "killed", "train", command=["a"])
    (tmp_path / "trained").mkdir()
    RunFile(tmp_path / "trained", "train", command=["a"]).end("stopped: OSError: disk full")
    by_name = {entry.dpath.name: entry for entry in list_runs(tmp_path)}
    killed, trained = by_name["killed"], by_name["trained"]
    assert (killed.status, killed.done, killed.failed, killed.seconds) == ("running", None, None, None)
    assert (trained.status, trained.done, trained.failed) == ("stopped: OSError: disk full", None, None)


def test_the_newest_comes_first_whatever_the_folders_are_called(tmp_path):
    for name, started in (
        ("b", "2026-01-02T00:00:00.000+00:00"),
        ("a", "2026-01-03T00:00:00.000+00:00"),
        ("c", "2026-01-03T00:30:00.000+01:00"),  # half an hour before a, though its digits are later
        ("d", "2025-12-31T00:00:00"),  # without a zone it is UTC
    ):
        date(make(tmp_path / name), started)
    runs = list_runs(tmp_path)
    assert [entry.dpath.parent.name for entry in runs] == ["a", "c", "b", "d"]
    assert runs[-1].started == datetime(2025, 12, 31, tzinfo=UTC)
    assert runs[1:3] == runs.entries[1:3]


def test_a_sweeps_trials_are_listed_and_so_is_a_folder_that_is_a_run_itself(tmp_path):
    RunFile(tmp_path, "sweep", command=["isotherm", "sweep"]).end("finished")
    for name in ("trials/001", "trials/002"):
        (tmp_path / name).mkdir(parents=True)
        RunFile(tmp_path / name, "train", command=["isotherm", "train"]).end("finished")
    runs = list_runs(tmp_path)
    assert {str(entry.dpath.relative_to(tmp_path)) for entry in runs} == {".", "trials/001", "trials/002"}
    assert runs.skipped == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ("[]", "is not the record of a run"),
        ('{"format": "other/1"}', "is not the record of a run"),
        ('{"format": "isotherm.run/1"}', "is damaged (KeyError"),
        ('{"format": "isotherm.run/1", "started": 3, "job": "a", "command": "b", "status": "c"}', "is damaged (TypeError"),
        ('{"format": "isotherm.run/1", "started": "soon", "job": "a", "command": "b", "status": "c"}', "is damaged (ValueError"),
        (
            '{"format": "isotherm.run/1", "started": "2026-01-01", "job": "a", "command": "b", "status": "c", "summary": []}',
            "is damaged (TypeError",
        ),
    ],
)  # fmt: skip
def test_a_damaged_run_is_skipped_and_named(tmp_path, text, reason):
    whole = make(tmp_path)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text(text)
    runs = list_runs(tmp_path)
    assert [entry.dpath for entry in runs] == [whole]
    ((dpath, why),) = runs.skipped
    assert dpath == tmp_path / "bad"
    assert reason in why


def test_what_cannot_be_read_is_skipped_and_named(tmp_path, monkeypatch):
    whole = make(tmp_path)
    (tmp_path / "folder" / "run.json").mkdir(parents=True)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "run.json")  # reading it would wait for ever
    (tmp_path / "dangling").mkdir()
    (tmp_path / "dangling" / "run.json").symlink_to("nowhere")
    (tmp_path / "locked").mkdir()
    usual = os.scandir

    def refuse(dpath):
        if Path(dpath).name == "locked":
            raise PermissionError(13, "Permission denied")
        return usual(dpath)

    monkeypatch.setattr(read.os, "scandir", refuse)
    runs = list_runs(tmp_path)
    assert [entry.dpath for entry in runs] == [whole]
    assert {dpath.name: why.partition(str(tmp_path))[2].split(" ", 1)[1] for dpath, why in runs.skipped} == {
        "folder": "is no regular file; expected one that can be read",
        "pipe": "is no regular file; expected one that can be read",
        "dangling": "holds no run.json; expected the folder of a run",
        "locked": "cannot be looked into (Permission denied)",
    }


def test_folders_without_a_run_are_named_but_not_those_within_runs_nor_hidden_ones(tmp_path):
    (make(tmp_path) / "checkpoints").mkdir()
    (tmp_path / "notes" / "deeper").mkdir(parents=True)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "file.txt").write_text("")
    runs = list_runs(tmp_path)
    assert len(runs) == 1
    assert runs.skipped == ((tmp_path / "notes", "it holds no run.json, nor does a folder in it"),)


def test_links_are_followed_once_and_loops_end(tmp_path):
    root, other = tmp_path / "runs", tmp_path / "disk"
    whole, far = make(root), make(other / "inner", "count")
    (root / "a-loop").symlink_to(root)
    (whole / "up").symlink_to("../..")
    (root / "a-latest").symlink_to(whole.name)
    (root / "a-far").symlink_to(other)
    (other / "back").symlink_to(root)
    (root / "broken").symlink_to("nowhere")
    runs = list_runs(root)
    assert [entry.dpath for entry in sorted(runs, key=lambda entry: entry.job)] == [
        root / "a-far" / "inner" / far.name,
        whole,
    ]
    assert runs.skipped == ()


def test_only_run_json_is_opened(tmp_path, monkeypatch):
    for _ in range(3):
        dpath = make(tmp_path)
        (dpath / "items.jsonl").write_text("not json\n")
        (dpath / "a.npz").write_bytes(b"damaged")
    opened = []
    usual = Path.open

    def watch(fpath, *args, **options):
        opened.append(fpath.name)
        return usual(fpath, *args, **options)

    monkeypatch.setattr(Path, "open", watch)
    assert len(list_runs(tmp_path)) == 3
    assert opened == ["run.json"] * 3


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_no_folder_is_an_error_with_what_was_expected(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"there is no folder .*; expected one with runs in it"):
        list_runs(tmp_path / name)


def test_runs_are_read_and_listed_from_the_top_of_the_package(tmp_path):
    dpath = make(tmp_path)
    assert isotherm.list_runs(tmp_path)[0].job == isotherm.read_run(dpath)["job"] == "explain"
    assert isotherm.read_items(dpath)[0]["name"] == "a"


@pytest.mark.parametrize("read", [read_run, read_items, list_runs])
@pytest.mark.parametrize("dpath", [None, 3, ["runs"]])
def test_what_is_no_path_is_named(read, dpath, unchecked):
    with pytest.raises(InputError, match=rf"the folder is {re.escape(repr(dpath))}; expected a path"):
        read(dpath)
