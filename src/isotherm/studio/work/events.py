"""What happened to a run so far, numbered, for anybody who listens from any number on: a page that was reloaded misses
nothing.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from isotherm.studio.work.listeners import Listeners

Event = dict[str, Any]
ENDS = ("finished", "failed")
"""The last event of a run is one of these."""


class Events:
    """The events of the latest runs.

    Args:
        most_runs: of which events are kept; the history knows of all how they ended.
        most_events: of one run; of progress alone the latest is kept beyond that.
    """

    def __init__(self, *, most_runs: int = 200, most_events: int = 2000) -> None:
        self._most_runs, self._most_events = most_runs, most_events
        self._runs: OrderedDict[str, list[tuple[int, Event]]] = OrderedDict()
        self._changed = threading.Condition()
        self._listeners = Listeners()
        self.closed = False

    def add(self, run_id: str, event: Event) -> None:
        """Take down an event and wake those who listen."""
        with self._changed:
            events = self._runs.setdefault(run_id, [])
            number = events[-1][0] + 1 if events else 1
            if len(events) >= self._most_events and event["event"] == events[-1][1]["event"] == "progress":
                events.pop()
            events.append((number, event))
            while len(self._runs) > self._most_runs:
                self._runs.popitem(last=False)
            self._changed.notify_all()
        self._listeners.wake()

    def close(self) -> None:
        """Wake everybody who listens, for the last time: ``closed`` is True from now on."""
        self.closed = True
        with self._changed:
            self._changed.notify_all()
        self._listeners.wake()

    def after(self, run_id: str, number: int = 0) -> list[tuple[int, Event]]:
        """The events that there are behind a number."""
        with self._changed:
            return self._after(run_id, number)

    def waking(self, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Have something called, from any thread, whenever there is a new event of any run."""
        return self._listeners.waking(wake)

    def of(self, run_id: str, *, after: int = 0, timeout_s: float = 15.0) -> Iterator[tuple[int, Event] | None]:
        """The events behind a number, as they come, up to the last one; None where nothing came for a while.

        Args:
            after: the number of the last event that the listener has.
            timeout_s: after how long without one None is given, so that a connection can be kept open, or found broken.
        """
        while True:
            with self._changed:
                new = self._after(run_id, after)
                until = time.monotonic() + timeout_s
                while not new and (left := until - time.monotonic()) > 0:
                    self._changed.wait(left)
                    new = self._after(run_id, after)
            if not new:
                yield None
            for number, event in new:
                after = number
                yield number, event
                if event["event"] in ENDS:
                    return

    def _after(self, run_id: str, after: int) -> list[tuple[int, Event]]:
        return [pair for pair in self._runs.get(run_id, ()) if pair[0] > after]
