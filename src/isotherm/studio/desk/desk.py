"""A process beside the worker for short pieces of work: looking at pictures, drawing exports, listing what there is.

It is a process of its own for the same reasons as the worker, and so that its work waits for no run. What goes in and
comes back are plain values.
"""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from isotherm import errors
from isotherm.errors import InputError, IsothermError
from isotherm.studio.faults import tell
from isotherm.studio.spawn import spawned
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.unkept import Unkept, why_unkept

TASKS: Mapping[str, str] = {
    "export": "isotherm.studio.exports.draw:export",
    "facts": "isotherm.studio.desk.facts:facts",
    "layers": "isotherm.studio.desk.layers:layers",
    "look": "isotherm.studio.desk.pictures:look",
    "show": "isotherm.studio.desk.pictures:show",
    "look at video": "isotherm.studio.desk.videos:look",
    "frame of video": "isotherm.studio.desk.videos:frame",
    "strip of video": "isotherm.studio.desk.videos:strip",
}
"""What a desk does: functions as ``module:name``, imported when they are needed first."""


class Fault(IsothermError):
    """A task ended in a way that nobody foresaw: a fault of ours or of a package."""


class Desk:
    """A process that does one piece of work after another; it starts with the first, and again if it died.

    Args:
        name: of the process.
        timeout_s: how long a piece of work may take.
        tasks: as :data:`TASKS`.
        nice: how far its process stands behind others.
        threads: that it computes with; None: as :func:`isotherm.studio.processor.environment` decides.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout_s: float = 60.0,
        tasks: Mapping[str, str] = TASKS,
        nice: int = 0,
        threads: int | None = None,
    ) -> None:
        self.name, self.timeout_s, self._tasks = name, timeout_s, tasks
        self._nice, self._threads = nice, threads
        self._turn = threading.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._closed = False

    def do(self, task: str, **arguments: Any) -> Any:
        """What a task returns. Callers wait for their turn, so never call it from an event loop.

        Args:
            task: one of the desk's tasks.
            **arguments: of its function.

        Raises:
            IsothermError: what the function raised; or that it took too long, or that its process died.
        """
        with self._turn:
            if self._closed:
                raise InputError("the studio is ending")
            pipe = self._started()
            try:
                pipe.send((self._tasks[task], arguments))
                if not pipe.poll(self.timeout_s):
                    self._end()
                    raise InputError(f"it took longer than {self.timeout_s:g} s, and was ended")
                kind, value = pipe.recv()
            except (EOFError, OSError) as error:
                self._end()
                raise InputError("the process that worked on it died; this file may be why") from error
        if kind == "done":
            return value
        raise _error(kind, value)

    @property
    def pid(self) -> int | None:
        """Of its process; None while there is none."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the process, also in the middle of its work."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()
        with self._turn:
            self._end()

    def _started(self) -> Connection:
        if self._process is None or not self._process.is_alive() or self._pipe is None:
            self._end()
            self._process, self._pipe = spawned(serve, name=self.name, nice=self._nice, threads=self._threads)
            if self._closed:  # whoever closed it saw no process yet
                self._end()
                raise InputError("the studio is ending")
        return self._pipe

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def serve(pipe: Connection) -> None:
    """Do tasks until the studio closes the pipe or ends.

    Args:
        pipe: ``(place, arguments)`` come in; ``("done", value)`` or ``(kind of error, message)`` go out.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the studio decides what it means
    while True:
        try:
            place, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            module, _, name = place.partition(":")
            answer = ("done", getattr(importlib.import_module(module), name)(**arguments))
        except Exception as error:
            answer = _outcome(error, place)
        pipe.send(answer)


def _outcome(error: Exception, place: str) -> tuple[str, str]:
    """Kind and message of an error, for the studio."""
    if (why := why_unkept(error)) is not None:
        return "Unkept", why
    if isinstance(error, IsothermError):
        return type(error).__name__, str(error)
    if isinstance(error, FileNotFoundError):  # a run's folder moves when the run ends
        return "NotThere", "a file that this needs is not there any more; ask again"
    if isinstance(error, MemoryError):
        return "InputError", "there is not enough memory for it"
    tell(error, place)  # a fault of ours or of a package: this task's end, not the studio's
    return "Fault", f"this was not foreseen: {type(error).__name__}: {error}"


def _error(kind: str, message: str) -> IsothermError:
    """The error of a task, as its class where that is made of a message alone."""
    ours = {"Fault": Fault, "Unkept": Unkept, "NotThere": NotThere}
    cls = ours.get(kind) or getattr(errors, kind, Fault)
    try:
        return cls(message)
    except TypeError:
        return InputError(message)
