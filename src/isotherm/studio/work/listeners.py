"""Those who want to be woken when there is something new, on whatever thread it came."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Listeners:
    """Functions that are called whenever something is new."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakes: set[Callable[[], None]] = set()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have something called, from any thread, whenever there is something new, as long as the block lasts."""
        with self._lock:
            self._wakes.add(wake)
        try:
            yield
        finally:
            with self._lock:
                self._wakes.discard(wake)

    def wake(self) -> None:
        """Call all of them; one that comes or goes meanwhile waits for nobody."""
        with self._lock:
            wakes = list(self._wakes)
        for wake in wakes:
            wake()
