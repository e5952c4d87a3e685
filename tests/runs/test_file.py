"""The one schema of ``run.json``: starts, endings, and what is not touched."""

from __future__ import annotations

import json
import re

import pytest

from isotherm.errors import InputError
from isotherm.runs import file as module
from isotherm.runs.file import RunFile
from isotherm.runs.read import read_run
from isotherm.runs.record import Run


def test_a_run_that_is_gone_on_with_has_two_starts_and_the_time_of_both(tmp_path, monkeypatch):
    clock = iter([0.0, 2.5, 10.0, 14.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    first = RunFile(tmp_path, "train", command=["isotherm", "train", "it"], start={"threads": 1}, root="here")
    assert read_run(tmp_path)["status"] == "running"
    first.end("interrupted")
    started = read_run(tmp_path)["started"]
    RunFile(tmp_path, "train", command=["isotherm", "train", "it", "--resume"], start={"threads": 2}, root="here").end(
        "finished"
    )
    record = read_run(tmp_path)
    assert (record["status"], record["seconds"], record["started"]) == ("finished", 6.5, started)
    assert [(s["status"], s["seconds"], s["threads"]) for s in record["starts"]] == [
        ("interrupted", 2.5, 1), ("finished", 4.0, 2),
    ]  # fmt: skip
    assert record["command"] == "isotherm train it --resume"
    assert record["root"] == "here"


def test_a_folder_that_another_job_used_begins_anew(tmp_path):
    RunFile(tmp_path, "explain", command=["a"], model="x").end("finished")
    RunFile(tmp_path, "count", command=["b"])
    record = read_run(tmp_path)
    assert (record["job"], len(record["starts"]), record.get("model")) == ("count", 1, None)


def test_a_damaged_record_is_left_as_it_is(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json cannot be read .* move it away"):
        RunFile(tmp_path, "train", command=["a"])
    assert (tmp_path / "run.json").read_text() == "{"


def test_a_process_that_only_helps_writes_nothing(tmp_path):
    RunFile(tmp_path, "train", command=["a"], write=False).end("finished")
    assert not list(tmp_path.iterdir())


def test_every_key_is_in_the_table_of_the_schema(tmp_path):
    with Run("explain", root=tmp_path, command=["isotherm"]) as run:
        run.done("a")
    rows = re.findall(r"^\| ([a-z, ]+) \|", module.__doc__, re.MULTILINE)
    named = {key for row in rows for key in row.split(", ")} - {"key"}
    assert set(json.loads((run.dpath / "run.json").read_text())) == named


def test_versions_of_packages_are_read_from_the_disk_once(monkeypatch):
    asked: list[str] = []

    def version(package: str) -> str:
        asked.append(package)
        if package == "timm":
            raise module.metadata.PackageNotFoundError
        return "1.5"

    monkeypatch.setattr(module.metadata, "version", version)
    monkeypatch.setattr(module, "_installed", module.cache(module._installed.__wrapped__))
    first, second = (module.versions(builds=False) for _ in range(2))
    assert first == second
    assert (first["av"], "timm" in first) == ("1.5", False)
    assert sorted(asked) == sorted(module.PACKAGES)
