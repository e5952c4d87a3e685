"""The worker's process as the studio sees it: it is started when there is an order for it, and may die."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from isotherm.studio.processor import BEHIND
from isotherm.studio.spawn import spawned
from isotherm.studio.work.worker import serve


class WorkerProcess:
    """A process that takes orders and tells how far it is.

    Args:
        jobs: as :data:`isotherm.studio.work.worker.JOBS`.
        most_bytes: of open models together.
        heatmaps: the folder where every finished map is kept by its time as well; None: nowhere.
        threads: that it computes with; None: as :func:`isotherm.studio.processor.environment` decides.
    """

    def __init__(
        self, jobs: Mapping[str, tuple[str, str]], most_bytes: int, heatmaps: Path | None, threads: int | None
    ) -> None:
        self._arguments = (dict(jobs), most_bytes, heatmaps)
        self._threads = threads
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._sending = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Its number; None while there is none."""
        return None if self._process is None else self._process.pid

    def order(self, order: Mapping[str, Any]) -> bool:
        """Hand over an order, to a new process where there is none; whether one was started."""
        if self._process is not None and self._process.is_alive() and self.send(order):
            return False
        self._start()
        self.send(order)
        return True

    def send(self, order: Mapping[str, Any]) -> bool:
        """Hand over an order, if there is a process that takes it; whether there was."""
        with self._sending:
            try:
                if self._pipe is None:
                    return False
                self._pipe.send(dict(order))
            except (OSError, ValueError):
                return False
        return True

    def event(self, timeout_s: float) -> dict[str, Any] | None:
        """What it tells next; None where it tells nothing for so long.

        Raises:
            EOFError, OSError: it has died.
        """
        if self._pipe is None:
            raise EOFError
        return self._pipe.recv() if self._pipe.poll(timeout_s) else None

    def last_words(self) -> str:
        """Why it died, as far as its exit code tells, and the end of what is left of it."""
        code = None
        if self._process is not None:
            self._process.join(5)
            code = self._process.exitcode
        self.end()
        return (
            f"it was killed, signal {-code}; a guess: the machine ran short of memory"
            if code is not None and code < 0
            else f"code {code}"
        )

    def kill(self) -> None:
        """Kill it, and leave the rest to who listens to it."""
        if (process := self._process) is not None:
            process.kill()

    def end(self) -> None:
        """Kill it, and forget it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
        with self._sending:
            if self._pipe is not None:
                self._pipe.close()
                self._pipe = None

    def _start(self) -> None:
        self.end()
        self._process, self._pipe = spawned(serve, *self._arguments, name="worker", nice=BEHIND, threads=self._threads)
