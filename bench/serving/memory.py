"""What a studio's processes hold in memory while they do one run after another."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import httpx

EVERY_S = 0.05
"""How often memory is looked at."""
AT_ONCE = 12
"""Runs that wait while one is worked on."""
SHARE = 0.1
"""The first and the last tenth of the runs are compared."""


def rss_mb(pid: int) -> float:
    """Resident memory of a process, MB; 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)


def children(pid: int) -> list[int]:
    """The processes that a process started, from any of its threads."""
    there = []
    for fpath in Path(f"/proc/{pid}/task").glob("*/children"):
        there += [int(word) for word in fpath.read_text().split()]
    return there


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Sampler(threading.Thread):
    """Looks at the memory of a studio's server and of its processes together, until it is closed.

    Args:
        pid: of the server.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.samples = pid, deque[tuple[float, float, float]]()
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(EVERY_S):
            others = sum(rss_mb(child) for child in children(self.pid))
            self.samples.append((time.monotonic(), rss_mb(self.pid), others))

    def close(self) -> None:
        self._end.set()
        self.join()

    def peaks_mb(self, start: float, end: float) -> tuple[float, float]:
        """The highest memory of the server, and of the processes together, between two moments."""
        between = [one for one in self.samples if start <= one[0] <= end]
        return max((one[1] for one in between), default=0.0), max((one[2] for one in between), default=0.0)


def over_many_runs(
    client: httpx.Client, pid: int, picture: str, *, runs: int, most_s: float = 2400.0
) -> dict[str, Any]:
    """Do so many runs, and compare the memory of the first tenth with that of the last.

    Args:
        client: knows the key.
        pid: of the server.
        picture: id of the picture that all runs are about.
        runs: how many.
        most_s: no further run is asked for after so long; how many there were is in the result.
    """
    sampler = Sampler(pid)
    sampler.start()
    waiting: deque[str] = deque()
    ended_at: list[float] = []
    failed = []

    def end_of_one() -> None:
        run_id = waiting.popleft()
        with client.stream("GET", f"/api/runs/{run_id}/events", timeout=600) as answer:
            events = [line for line in answer.iter_lines() if line.startswith("event: ")]
        ended_at.append(time.monotonic())
        if events[-1] != "event: finished":
            failed.append(run_id)

    start = time.monotonic()
    for i in range(runs):
        if time.monotonic() - start > most_s:
            break
        wanted = {"model": "detector", "opacity": i / 1e5, "trust": "off"}
        answer = client.post("/api/runs", json={"pictures": [picture], "options": wanted})
        answer.raise_for_status()
        waiting.append(answer.json()["id"])
        if len(waiting) >= AT_ONCE:
            end_of_one()
    while waiting:
        end_of_one()
    sampler.close()
    runs = len(ended_at)
    part = max(1, round(SHARE * runs))
    first, last = sampler.peaks_mb(start, ended_at[part - 1]), sampler.peaks_mb(ended_at[-part], ended_at[-1])
    return {
        "runs": runs,
        "failed": failed,
        "seconds": ended_at[-1] - start,
        "server_mb": {"first": first[0], "last": last[0]},
        "processes_mb": {"first": first[1], "last": last[1]},
    }
