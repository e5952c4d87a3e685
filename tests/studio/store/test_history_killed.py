"""The studio's history in a process that is killed while it writes: whole, with all that was acknowledged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from isotherm.studio.store.history import History
from isotherm.studio.store.query import Query

WRITING = """
import os, sys
from pathlib import Path
from isotherm.studio.store.blobs import new_id
from isotherm.studio.store.history import History
from isotherm.studio.store.query import MapFacts

def write():
    history = History(Path(sys.argv[1]))
    print("pid", os.getpid(), flush=True)
    while True:
        history.add_picture("p.png", [new_id().encode()])
        run_id = history.add_run("explain", key="k", title="t", model="m", options={}, command="c")
        print("asked", run_id, flush=True)
        folder = history.runs.dpath / f".work.{new_id()}"
        folder.mkdir()
        (folder / "run.json").write_bytes(b"x" * 100_000)
        history.finish(run_id, folder, [MapFacts(picture="p", label="cat", method="GradCAM")])
        print("finished", run_id, flush=True)

for _ in sys.stdin:  # a process for each line, which need not import everything again
    pid = os.fork()
    if not pid:
        write()
    os.waitpid(pid, 0)
    print("dead", pid, flush=True)
"""


def test_a_process_killed_while_it_writes_loses_nothing_that_it_acknowledged(tmp_path):
    """Killed at ten moments, in the middle of writing; each time the folder is opened again as a start does."""
    folder = tmp_path / "studio"
    acknowledged: dict[str, str] = {}
    with subprocess.Popen(
        [sys.executable, "-c", WRITING, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for k in range(10):
            _kill_in_the_middle(process, 3 + k, acknowledged)
            _is_whole(folder, acknowledged)
        process.stdin.close()


def _kill_in_the_middle(process, lines: int, acknowledged: dict[str, str]) -> None:
    """Let a process write, kill it after it has said so many lines, and take down what it acknowledged."""
    process.stdin.write("\n")
    process.stdin.flush()
    word, pid = process.stdout.readline().split()
    assert word == "pid"
    while word != "dead":
        word, name = process.stdout.readline().split()
        if word in ("asked", "finished"):
            acknowledged[name] = word
        lines -= 1
        if lines == 0:
            os.kill(int(pid), signal.SIGKILL)


def _is_whole(folder: Path, acknowledged: dict[str, str]) -> None:
    history = History(folder)
    history.sweep(older_than_s=0.0)
    runs = {run.id: run for run in history.search(Query(limit=200)).runs}
    for run_id, word in acknowledged.items():
        assert runs[run_id].status in (["finished"] if word == "finished" else ["finished", "interrupted"])
    done = [run for run in runs.values() if run.status == "finished"]
    for run in done:
        assert (history.runs.path(run.id) / "run.json").stat().st_size == 100_000
        assert [one.label for one in run.maps] == ["cat"]
    kept = sorted(d.name for d in history.runs.dpath.iterdir())  # what is hidden, too
    assert kept == sorted(run.id for run in done)
    assert history.sweep(older_than_s=0.0) == []
    history.close()
