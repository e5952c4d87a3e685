"""The folder of a run belongs to one process at a time, whatever becomes of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from isotherm.errors import OptionError
from isotherm.runs.read import read_run
from isotherm.train.run_folder import RunFolder

TAKEN = "another process runs in .*two would write over each other; wait until it has ended, end it, or choose another"
# takes the lock as the system knows it, without all that a training loads
HOLDER = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print(flush=True)
sys.stdin.read()
"""


def test_two_do_not_run_in_one_folder(tmp_path):
    with RunFolder(tmp_path, {"steps": 3}).started("train", processes=1):
        before = (tmp_path / "run.json").read_bytes()
        with pytest.raises(OptionError, match=TAKEN), RunFolder(tmp_path, {"steps": 3}).started("train"):
            pass
        assert (tmp_path / "run.json").read_bytes() == before
    with RunFolder(tmp_path, {"steps": 3}).started("train"):
        pass
    assert [start["status"] for start in read_run(tmp_path)["starts"]] == ["finished", "finished"]


def test_the_folder_is_free_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), RunFolder(tmp_path, {}).started("train"):
        raise KeyboardInterrupt
    with RunFolder(tmp_path, {}).started("train"):
        pass


def test_a_process_that_is_killed_leaves_the_folder_free(tmp_path):
    folder = RunFolder(tmp_path, {})
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        process.stdout.readline()
        with pytest.raises(OptionError, match=TAKEN), folder.started("train"):
            pass
    finally:
        process.kill()
        process.communicate()
    with folder.started("train"):
        pass


def test_the_other_processes_of_a_run_need_no_lock(tmp_path):
    with RunFolder(tmp_path, {}).started("train"), RunFolder(tmp_path, {}).started("train", write=False):
        pass


def test_a_run_is_gone_on_with_under_other_limits_and_no_other_numbers(tmp_path):
    """What a recipe of an earlier version does not have yet is another limit as well."""
    RunFolder(tmp_path, {"data": {"side": 32}, "training": {"rate": 0.1, "wall_hours": 3}})
    RunFolder(tmp_path, {"data": {"side": 32, "memory_mb": 512.0}, "training": {"rate": 0.1}})
    with pytest.raises(OptionError, match="they differ in data"):
        RunFolder(tmp_path, {"data": {"side": 64, "memory_mb": 512.0}, "training": {"rate": 0.1}})
