"""Starting a process of the studio's: spawned, named, and with a pipe that ends when either side does."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from isotherm.studio.processor import environment


def spawned(
    serve: Callable[..., None], *arguments: Any, name: str, nice: int = 0, threads: int | None = None
) -> tuple[BaseProcess, Connection]:
    """A process that runs already, so that whoever gets hold of it can kill it, and our end of its pipe.

    Args:
        serve: what it does; gets its end of the pipe and the arguments.
        *arguments: plain values.
        name: of the process, for people.
        nice: how far it stands behind other processes, 0 to 19.
        threads: that it computes with, as :func:`isotherm.studio.processor.environment` takes them.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    ours, its = context.Pipe()
    process = context.Process(
        target=_begin, args=(serve, nice, threads, its, *arguments), name=f"isotherm studio: {name}", daemon=True
    )
    process.start()
    its.close()  # so that the pipe ends with the process
    return process, ours


def _begin(serve: Callable[..., None], nice: int, threads: int | None, *arguments: Any) -> None:
    os.environ.update(environment(threads, os.environ))
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    serve(*arguments)
