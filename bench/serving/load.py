"""Many people at one studio: what they wait for, and whether any of their runs is lost."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.serving.http import Answer, Connection
from bench.serving.memory import children, cpu_s

BETWEEN_S = (0.5, 1.5)
"""How long a person looks before asking for something again."""
STATIC = ("/", "/page/main.js", "/page/studio.css")
LATEST_S = 600.0
"""How long the last runs may take when the time is over."""
LOOK_S = 0.02
HISTORY = (
    {"limit": 30},
    {"words": "scene", "limit": 30},
    {"model": "detector", "limit": 30},
    {"status": "finished", "limit": 30},
)


@dataclass
class Tally:
    """What happened to all clients together."""

    times_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    runs: dict[str, str] = field(default_factory=dict)
    """How each run that was taken in ended; "" while nobody knows."""
    waiting_at_429: list[int] = field(default_factory=list)
    retries_s: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Connections that ended without an answer."""
    late_s: list[float] = field(default_factory=list)
    """How late this process itself came to its turn: what of a time is not the studio's."""

    def percentile_ms(self, kind: str, share: float) -> float:
        """How long such a request takes, but for the slowest ones."""
        return 1000 * float(np.percentile(self.times_s[kind], share)) if self.times_s[kind] else float("nan")


class Client:
    """A person: looks at the page and the history, asks for a run, watches it to its end, looks again.

    Args:
        url: of the studio.
        key: of scripts.
        number: of the person; no two ask for the same.
        picture: id of the picture that runs are about.
        until: when to stop, on the clock of :func:`time.monotonic`.
    """

    def __init__(self, url: str, key: str, number: int, picture: str, tally: Tally, until: float) -> None:
        self.number, self.picture, self.tally, self.until = number, picture, tally, until
        self.page, self.events = Connection(url, key), Connection(url, key)
        self.random = random.Random(number)
        self.asked = 0
        self._watching: asyncio.Task[None] | None = None

    async def timed(self, kind: str, connection: Connection, method: str, path: str, **options: Any) -> Answer:
        """An answer; how long it took is taken down."""
        start = time.perf_counter()
        answer = await connection.request(method, path, **options)
        self.tally.times_s[kind].append(time.perf_counter() - start)
        self.tally.statuses[answer.status] += 1
        return answer

    async def live(self) -> None:
        """Until the time is over, and the last run has ended."""
        try:
            await self._live()
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.tally.broken.append(f"{type(error).__name__}: {error}")
        finally:
            self.page.close()
            self.events.close()

    async def _live(self) -> None:
        try_again = 0.0
        while time.monotonic() < self.until:
            await asyncio.sleep(self.random.uniform(*BETWEEN_S))
            await self.timed("static", self.page, "GET", self.random.choice(STATIC))
            await self.timed("history", self.page, "GET", "/api/runs", query=self.random.choice(HISTORY))
            if time.monotonic() < try_again or not (self._watching is None or self._watching.done()):
                continue
            try_again = await self.ask()
        if self._watching is not None:
            await self._watching

    async def ask(self) -> float:
        """Ask for a run that nobody asked for before; the moment before which no other may be asked for."""
        self.asked += 1
        share = (1000 * self.number + self.asked) / 1e6  # another opacity is another run
        wanted = {"pictures": [self.picture], "options": {"model": "detector", "opacity": share}}
        answer = await self.timed("ask", self.page, "POST", "/api/runs", body=wanted)
        if answer.status == 429:
            self.tally.waiting_at_429.append(int(answer.json()["error"].split()[0]))
            retry_s = int(answer.headers["retry-after"])
            self.tally.retries_s.append(retry_s)
            return time.monotonic() + retry_s
        if answer.status == 202:
            run_id = answer.json()["id"]
            self.tally.runs[run_id] = ""
            self._watching = asyncio.create_task(self.watch(run_id))
        return 0.0

    async def watch(self, run_id: str) -> None:
        """Follow a run's events to its end, and look at its map."""
        event = ""
        async for line in self.events.lines(f"/api/runs/{run_id}/events"):
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
        self.tally.statuses[200] += 1
        self.tally.runs[run_id] = event
        await self.timed("map", self.events, "GET", f"/api/runs/{run_id}/view/0")
        await self.timed("map", self.events, "GET", f"/api/runs/{run_id}/view/0/values")


async def _look_at_clock(tally: Tally) -> None:
    while True:
        start = time.perf_counter()
        await asyncio.sleep(LOOK_S)
        tally.late_s.append(time.perf_counter() - start - LOOK_S)


async def _crowd(url: str, key: str, picture: str, *, clients: int, seconds: float) -> tuple[Tally, dict[str, Any]]:
    tally, until = Tally(), time.monotonic() + seconds
    people = [Client(url, key, i, picture, tally, until) for i in range(clients)]
    clock = asyncio.create_task(_look_at_clock(tally))
    async with asyncio.timeout(seconds + LATEST_S):
        await asyncio.gather(*(one.live() for one in people))
    clock.cancel()
    state, connection = {}, Connection(url, key)
    for run_id in tally.runs:
        state[run_id] = (await connection.request("GET", f"/api/runs/{run_id}")).json().get("status")
    connection.close()
    return tally, state


def crowd(url: str, key: str, picture: str, *, pid: int, clients: int, seconds: float) -> dict[str, Any]:
    """What a crowd of people met, and whether all of their runs are in the history as it ended.

    Args:
        url: of the studio.
        key: of scripts.
        picture: id of the picture that all runs are about.
        pid: of the server, whose processor time is told beside that of its processes and of this one.
    """
    others, before = children(pid), _spent_s(pid)
    start = time.monotonic()
    tally, state = asyncio.run(_crowd(url, key, picture, clients=clients, seconds=seconds))
    took, after = time.monotonic() - start, _spent_s(pid)
    kinds: Sequence[str] = ("static", "history", "ask", "map")
    return {
        "clients": clients,
        "seconds": seconds,
        "seconds_to_the_last_end": took,
        "requests": sum(tally.statuses.values()),
        "statuses": {str(status): n for status, n in sorted(tally.statuses.items())},
        "server_errors": sum(n for status, n in tally.statuses.items() if status >= 500),
        "connections_broken": tally.broken,
        "runs_taken_in": len(tally.runs),
        "runs_finished": sum(status == "finished" for status in state.values()),
        "runs_lost": [run_id for run_id, end in tally.runs.items() if end != "finished" or state[run_id] != "finished"],
        "refused": len(tally.waiting_at_429),
        "least_waiting_at_a_refusal": min(tally.waiting_at_429, default=None),
        "p50_ms": {kind: tally.percentile_ms(kind, 50) for kind in kinds},
        "p95_ms": {kind: tally.percentile_ms(kind, 95) for kind in kinds},
        "client_late_p95_ms": 1000 * float(np.percentile(tally.late_s, 95)),
        "processor_s": {name: after[name] - before[name] for name in before},
        "worker_restarted": set(others) - set(children(pid)) != set(),
    }


def _spent_s(pid: int) -> dict[str, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "server": cpu_s(pid),
        "its_processes": sum(map(cpu_s, children(pid))),
        "clients": own.ru_utime + own.ru_stime,
    }
