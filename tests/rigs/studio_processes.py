"""The processes beside a studio (its worker, its desks, who reads its cameras), forked from one that has imported torch.

A studio of users starts each of them anew, which is the matter of ``studio/test_spawn`` and ``studio/test_serve``: it
takes seconds, and most tests look at what a process does later. The process that forks has one thread, no run-time
checks, and ends when nobody is left that it could fork for.
"""

from __future__ import annotations

import multiprocessing
import os
from functools import partial
from multiprocessing import forkserver
from types import SimpleNamespace
from typing import Any

from isotherm.studio import spawn

IMPORTED = (
    *("torch", "matplotlib.colors", "isotherm.models.choose", "isotherm.jobs.open_model"),
    *("isotherm.jobs.explain.run", "isotherm.jobs.count.run", "isotherm.studio.work.worker"),
    *("isotherm.studio.work.view", "isotherm.studio.heatmaps", "isotherm.studio.live.capture"),
    *("isotherm.studio.desk.facts", "isotherm.studio.desk.layers", "isotherm.studio.desk.pictures"),
    *("isotherm.studio.desk.videos", "isotherm.studio.exports.draw"),
)
"""What the processes find imported; none of it starts a thread."""


def fork_processes() -> None:
    """Fork what this process starts for a studio from now on; the process that forks starts with the first."""
    forkserver.set_forkserver_preload(list(IMPORTED))
    spawn.multiprocessing = SimpleNamespace(get_context=lambda method: multiprocessing.get_context("forkserver"))


def spawn_processes() -> None:
    """Start them again as users' studios do."""
    spawn.multiprocessing = multiprocessing


def start_forking() -> None:
    """Start the process that forks now, for the forks of this process as well."""
    fork_processes()
    forkserver.ensure_running()
    # a fork of this process is not the parent of the one that forks, and cannot look whether it still runs
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]


def join_studio() -> None:
    """Let what this process starts belong to its group, so that all of it can be killed at once, and print where it does."""
    spawn._begin = partial(_begin_in, os.getpid())


def _begin_in(studio: int, *arguments: Any) -> None:
    os.setpgid(0, studio)
    for number in (1, 2):
        handle = os.open(f"/proc/{studio}/fd/{number}", os.O_WRONLY)
        os.dup2(handle, number)
        os.close(handle)
    spawn._begin(*arguments)
