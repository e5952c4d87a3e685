"""What of the processor a process of the studio gets: threads to compute with, and its place behind others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

BEHIND = 5
"""How nice the worker is: the server and the browser have their turn before it, also on a busy machine."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says how much processor time a container gets."""


def cores(quota: Path = QUOTA) -> int:
    """How many cores this process may use: those of the machine, fewer where it is held to some, or to a share of time.

    Args:
        quota: a file such as ``200000 100000``: so many microseconds of processor time in each so many.
    """
    try:
        there = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        there = os.cpu_count() or 1
    try:
        time, period = quota.read_text().split()
        return max(1, min(there, round(int(time) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or no limit
        return there


def environment(threads: int | None, there: Mapping[str, str]) -> dict[str, str]:
    """What must be set for a process before it imports torch or ultralytics; what somebody has set already stays.

    Args:
        threads: that it computes with; None: as many as the environment says, or as there are cores.
        there: the environment.

    Example:
        >>> environment(2, {"OMP_NUM_THREADS": "8", "YOLO_OFFLINE": "0"})
        {'OMP_NUM_THREADS': '2'}
    """
    # ultralytics looks for a network when it is imported, for seconds where there is none
    defaults = {"OMP_NUM_THREADS": str(cores()), "YOLO_OFFLINE": "1"}
    wanted = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return {**{name: value for name, value in defaults.items() if name not in there}, **wanted}
