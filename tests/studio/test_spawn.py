"""A spawned process can be killed from the moment that anybody has it, and its pipe ends with it."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from isotherm.studio import spawn
from isotherm.studio.spawn import spawned
from rigs.echo import serve, tell


@pytest.fixture(autouse=True)
def as_users_start_it(monkeypatch):
    """Nothing is forked, which other tests of this folder do."""
    monkeypatch.setattr(spawn, "multiprocessing", multiprocessing)


def test_it_runs_already_and_its_pipe_ends_with_it():
    process, pipe = spawned(serve, "answer: ", name="echo")
    assert process.name == "isotherm studio: echo"
    pipe.send("a")
    assert pipe.recv() == "answer: a"
    process.kill()
    process.join()
    with pytest.raises((EOFError, OSError)):
        pipe.recv()
    pipe.close()


def test_it_finds_its_threads_and_its_place_before_it_imports_anything():
    process, pipe = spawned(tell, "OMP_NUM_THREADS", "YOLO_OFFLINE", name="told", nice=3, threads=5)
    assert pipe.recv() == ["5", os.environ.get("YOLO_OFFLINE", "1"), min(os.nice(0) + 3, 19), False]
    process.join()
    pipe.close()
