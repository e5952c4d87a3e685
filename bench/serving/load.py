"""Many people at one studio: what they wait for, and whether any of their runs is lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

BETWEEN_S = (0.5, 1.5)
"""How long a person looks before asking for something again."""
STATIC = ("/", "/page/main.js", "/page/studio.css")
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

    def percentile_ms(self, kind: str, share: float) -> float:
        """How long such a request takes, but for the slowest ones."""
        return 1000 * float(np.percentile(self.times_s[kind], share)) if self.times_s[kind] else float("nan")


class Client:
    """A person: looks at the page and the history, asks for a run, watches it to its end, looks again.

    Args:
        http: knows the key.
        number: of the person; no two ask for the same.
        picture: id of the picture that runs are about.
        until: when to stop, on the clock of :func:`time.monotonic`.
    """

    def __init__(self, http: httpx.AsyncClient, number: int, picture: str, tally: Tally, until: float) -> None:
        self.http, self.number, self.picture, self.tally, self.until = http, number, picture, tally, until
        self.random = random.Random(number)
        self.asked = 0
        self._watching: asyncio.Task[None] | None = None

    async def timed(self, kind: str, method: str, path: str, **options: Any) -> httpx.Response:
        """An answer; how long it took is taken down."""
        start = time.perf_counter()
        answer = await self.http.request(method, path, **options)
        self.tally.times_s[kind].append(time.perf_counter() - start)
        self.tally.statuses[answer.status_code] += 1
        return answer

    async def live(self) -> None:
        """Until the time is over, and the last run has ended."""
        try_again = 0.0
        while time.monotonic() < self.until:
            await asyncio.sleep(self.random.uniform(*BETWEEN_S))
            await self.timed("static", "GET", self.random.choice(STATIC))
            await self.timed("history", "GET", "/api/runs", params=self.random.choice(HISTORY))
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
        answer = await self.timed("ask", "POST", "/api/runs", json=wanted)
        if answer.status_code == 429:
            self.tally.waiting_at_429.append(int(answer.json()["error"].split()[0]))
            retry_s = int(answer.headers["retry-after"])
            self.tally.retries_s.append(retry_s)
            return time.monotonic() + retry_s
        if answer.status_code == 202:
            run_id = answer.json()["id"]
            self.tally.runs[run_id] = ""
            self._watching = asyncio.create_task(self.watch(run_id))
        return 0.0

    async def watch(self, run_id: str) -> None:
        """Follow a run's events to its end, and look at its map."""
        async with self.http.stream("GET", f"/api/runs/{run_id}/events", timeout=600) as answer:
            self.tally.statuses[answer.status_code] += 1
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
        self.tally.runs[run_id] = event
        await self.timed("map", "GET", f"/api/runs/{run_id}/view/0")
        await self.timed("map", "GET", f"/api/runs/{run_id}/view/0/values")


async def _crowd(url: str, key: str, picture: str, *, clients: int, seconds: float) -> Tally:
    tally, until = Tally(), time.monotonic() + seconds
    headers = {"authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=3 * clients)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as http:
        people = [Client(http, i, picture, tally, until) for i in range(clients)]
        await asyncio.gather(*(one.live() for one in people))
    return tally


def crowd(url: str, key: str, picture: str, *, clients: int, seconds: float) -> dict[str, Any]:
    """What a crowd of people met, and whether all of their runs are in the history as it ended.

    Args:
        url: of the studio.
        key: of scripts.
        picture: id of the picture that all runs are about.
    """
    tally = asyncio.run(_crowd(url, key, picture, clients=clients, seconds=seconds))
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60) as http:
        state = {run_id: http.get(f"/api/runs/{run_id}").json().get("status") for run_id in tally.runs}
    kinds: Sequence[str] = ("static", "history", "ask", "map")
    return {
        "clients": clients,
        "seconds": seconds,
        "requests": sum(tally.statuses.values()),
        "statuses": {str(status): n for status, n in sorted(tally.statuses.items())},
        "server_errors": sum(n for status, n in tally.statuses.items() if status >= 500),
        "runs_taken_in": len(tally.runs),
        "runs_finished": sum(status == "finished" for status in state.values()),
        "runs_lost": [run_id for run_id, end in tally.runs.items() if end != "finished" or state[run_id] != "finished"],
        "refused": len(tally.waiting_at_429),
        "least_waiting_at_a_refusal": min(tally.waiting_at_429, default=None),
        "p50_ms": {kind: tally.percentile_ms(kind, 50) for kind in kinds},
        "p95_ms": {kind: tally.percentile_ms(kind, 95) for kind in kinds},
    }
