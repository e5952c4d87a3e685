"""Disks that fill up and folders that vanish while a run is at work: a message, an exit code, and whole files."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

import isotherm.jobs.explain.run as job
from isotherm import atomic
from isotherm.cli import main
from isotherm.heatmap import Heatmap
from isotherm.runs.read import read_items, read_run

COMMAND = ["explain", "0.png", "1.png", "--model", "scenes", "--trust", "off", "--out", "out"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    for i in range(2):
        Image.new("RGB", (40, 40), (90 * i, 90, 90)).save(tmp_path / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Disk:
    """A disk that takes so many files and then is full, for good or for one of them."""

    def __init__(self, most: int, *, for_good: bool) -> None:
        self.most, self.for_good, self.count = most, for_good, 0

    def fsync(self, fd: int) -> None:
        self.count += 1
        if self.count == self.most or (self.for_good and self.count > self.most):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def writes() -> int:
    """How many files an undisturbed run syncs."""
    disk = Disk(0, for_good=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.os, "fsync", disk.fsync)
        assert main([*COMMAND[:-1], "undisturbed"]) == 0
    return disk.count


@pytest.mark.parametrize("for_good", [False, True])
def test_a_disk_that_is_full_at_any_write_is_named_and_leaves_whole_files(place, capsys, monkeypatch, for_good):
    last = writes()
    assert last >= 6
    for most in range(1, last + 1):
        shutil.rmtree("out", ignore_errors=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(atomic.os, "fsync", Disk(most, for_good=for_good).fsync)
            code = main(COMMAND)
        said = capsys.readouterr().err
        assert code == 2, (most, said)
        assert "No space left on device" in said, (most, said)
        assert "Traceback" not in said
        assert "not foreseen" not in said
        assert list(Path("out").glob(".*")) == []
        if not Path("out/run.json").exists():
            continue
        record = read_run("out")
        ended = record["status"].startswith("stopped: OSError")
        assert ended or (for_good and record["status"] == "running"), (most, record["status"])
        for item in read_items("out"):
            for fname in item.get("files", ()):
                if fname.endswith(".npz"):
                    Heatmap.load(Path("out", fname))


def test_a_folder_that_vanishes_is_named_and_nothing_is_written_elsewhere(place, capsys, monkeypatch):
    real = job.write_maps

    def write_maps(*arguments, **options):
        written = real(*arguments, **options)
        shutil.rmtree("out", ignore_errors=True)
        return written

    monkeypatch.setattr(job, "write_maps", write_maps)
    assert main(COMMAND) == 2
    said = capsys.readouterr().err
    assert "there is no folder out; create it first, or start again where it was moved or removed meanwhile" in said
    assert "Traceback" not in said
    assert sorted(f.name for f in place.iterdir()) == ["0.png", "1.png"]
