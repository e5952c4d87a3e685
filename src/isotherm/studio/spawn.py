"""Starting a process of the studio's: spawned, named, and with a pipe that ends when either side does."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


def spawned(serve: Callable[..., None], *arguments: Any, name: str) -> tuple[BaseProcess, Connection]:
    """A process that runs already, so that whoever gets hold of it can kill it, and our end of its pipe.

    Args:
        serve: what it does; gets its end of the pipe and the arguments.
        *arguments: plain values.
        name: of the process, for people.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    ours, its = context.Pipe()
    process = context.Process(target=serve, args=(its, *arguments), name=f"isotherm studio: {name}", daemon=True)
    process.start()
    its.close()  # so that the pipe ends with the process
    return process, ours
