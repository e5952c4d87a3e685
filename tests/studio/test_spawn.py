"""A spawned process can be killed from the moment that anybody has it, and its pipe ends with it."""

from __future__ import annotations

import pytest

from isotherm.studio.spawn import spawned
from rigs.echo import serve


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
