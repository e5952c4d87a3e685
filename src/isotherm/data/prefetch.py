"""Loading what comes next while what is there is worked on: a thread for the loader, and one for the model."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

from isotherm.errors import OptionError

T = TypeVar("T")
_END = object()


class Prefetch(Generic[T]):
    """The items of an iterable, made by a thread of their own, some of them ahead.

    Decoding video, reading files and most of what torch does leave Python free for the other thread meanwhile. The
    order stays, an error of the loader is raised where its item would come, and the thread ends with the context.

    Args:
        items: what is loaded; it is worked through in the other thread alone.
        ahead: items that may lie ready, so memory holds as many and two more.

    Attributes:
        waited_s: seconds that have passed in waiting for an item.
        loaded_s: seconds that the loader has worked.

    Raises:
        OptionError: none ahead.

    Example:
        >>> with Prefetch(n * n for n in range(4)) as squares:
        ...     list(squares)
        [0, 1, 4, 9]
    """

    def __init__(self, items: Iterable[T], *, ahead: int = 2) -> None:
        if ahead < 1:
            raise OptionError(f"ahead is {ahead}; expected at least 1 item")
        self.waited_s = self.loaded_s = 0.0
        self._ready: queue.Queue[Any] = queue.Queue(ahead)
        self._stopped = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._load, args=(iter(items),), daemon=True, name="loader")
        self._thread.start()

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._over:
            raise StopIteration
        began = time.perf_counter()
        item, error = self._ready.get()
        self.waited_s += time.perf_counter() - began
        if error is not None or item is _END:
            self._over = True
            self._thread.join()
            if error is not None:
                raise error
            raise StopIteration
        ready: T = item
        return ready

    def close(self) -> None:
        """End the loader behind the item that it works on; what lies ready is given up."""
        self._over = True
        self._stopped.set()
        while self._thread.is_alive():
            try:  # the loader may wait for room
                self._ready.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def share_waited(self, of_s: float) -> float:
        """The share of some time that has passed in waiting.

        Args:
            of_s: seconds, such as those of all steps.
        """
        return self.waited_s / of_s if of_s > 0 else 0.0

    def _load(self, items: Iterator[T]) -> None:
        while not self._stopped.is_set():
            began = time.perf_counter()
            try:
                item: Any = next(items, _END)
                error = None
            except BaseException as raised:  # whatever it is belongs to who asked for the item
                item, error = _END, raised
            self.loaded_s += time.perf_counter() - began
            self._ready.put((item, error))
            if item is _END:
                return
