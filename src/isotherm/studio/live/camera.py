"""One camera of the machine that the studio runs on: its newest frame for all who watch, stills and recordings."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from isotherm.errors import InputError
from isotherm.studio.live.capture import serve
from isotherm.studio.spawn import spawned
from isotherm.studio.work.listeners import Listeners

IDLE_S = 5.0
"""How long a camera stays open when nobody looks any more, so that a page that is reloaded finds it open."""
TICK_S = 0.25
FIRST_FRAME_S = 20.0
"""How long a camera may take to show something when it is opened."""
STILL_S = 10.0
END_S = 2.0


@dataclass(frozen=True)
class Shown:
    """What a camera shows at present.

    Args:
        number: of the frame, from 1; 0 before the first one.
        jpeg: the frame with what was found drawn on it; None where the camera shows nothing.
        lost: why it shows nothing, if that is known.
    """

    number: int = 0
    jpeg: bytes | None = None
    lost: str | None = None


class Camera:
    """A camera that is open as long as somebody uses it.

    Args:
        source: as :func:`isotherm.studio.live.capture.serve` takes it.
        idle_s: how long it stays open when nobody uses it.
    """

    def __init__(self, source: str, *, idle_s: float = IDLE_S) -> None:
        self.source, self._idle_s = source, idle_s
        self._changed = threading.Condition()
        self._shown = Shown()
        self._answers: dict[int, Mapping[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._users = 0
        self._left_s = 0.0
        self._closed = False
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._thread: threading.Thread | None = None
        self._listeners = Listeners()

    @property
    def shown(self) -> Shown:
        """The newest frame, or why there is none."""
        return self._shown

    @property
    def is_open(self) -> bool:
        """Whether the camera is being read."""
        return self._process is not None

    @property
    def users(self) -> int:
        """How many use it at present."""
        return self._users

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the camera open; it is opened where it is not.

        Raises:
            InputError: the studio is ending.
        """
        with self._changed:
            if self._closed:
                raise InputError("the studio is ending")
            self._users += 1
            if self._process is None:
                self._open()
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._left_s = time.monotonic()

    def waking(self, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Have something called, from another thread, whenever there is something new to show."""
        return self._listeners.waking(wake)

    def still(self) -> bytes:
        """The newest frame at full size, as JPEG.

        Raises:
            InputError: the camera shows nothing.
        """
        with self.used():
            self._wait_for_frame()
            return self._ask({"what": "still"}, STILL_S)["jpeg"]

    def record(self, seconds: float, fpath: Path) -> int:
        """Write what the camera shows from now on into an MP4; returns the number of frames when it has ended.

        Args:
            seconds: how long.
            fpath: the file.

        Raises:
            InputError: the camera shows nothing, was lost, or is being recorded already.
        """
        with self.used():
            self._wait_for_frame()
            answer = self._ask({"what": "record", "seconds": seconds, "fpath": str(fpath)}, seconds + STILL_S)
            return answer["frames"]

    def draw(self, detections: Sequence[Mapping[str, Any]]) -> None:
        """Have detections drawn on the frames from now on; those of before are forgotten."""
        with self._changed:
            self._send({"detections": list(detections)})

    def close(self) -> None:
        """Let go of the camera, whoever uses it."""
        with self._changed:
            self._closed = True
            process, thread = self._process, self._thread
        if process is not None and thread is not None:
            process.kill()
            process.join()
            thread.join(END_S)
        with self._changed:
            self._changed.notify_all()
        self._listeners.wake()

    @property
    def is_closed(self) -> bool:
        """Whether the studio has let go of it for good."""
        return self._closed

    # --- its process -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._process, self._pipe = spawned(serve, self.source, name="camera")
        self._shown = Shown()
        self._thread = threading.Thread(
            target=self._listen, args=(self._process, self._pipe), name="isotherm studio: camera", daemon=True
        )
        self._thread.start()

    def _listen(self, process: BaseProcess, pipe: Connection) -> None:
        lost = "its reading ended unexpectedly; look at it again"
        try:
            while True:
                if pipe.poll(TICK_S):
                    self._take(pipe.recv())
                with self._changed:
                    if not self._users and time.monotonic() > self._left_s + self._idle_s:
                        lost = "nobody looks at it"
                        break
        except (EOFError, OSError):
            pass
        with self._changed:
            self._process = self._pipe = None
            self._shown = Shown(self._shown.number, None, lost)
            self._changed.notify_all()
        process.kill()
        process.join()
        pipe.close()
        self._listeners.wake()

    def _take(self, message: Mapping[str, Any]) -> None:
        with self._changed:
            if "answer" in message:
                self._answers[message["answer"]] = message
            elif "lost" in message:
                self._shown = Shown(self._shown.number + 1, None, message["lost"])
            else:
                self._shown = Shown(self._shown.number + 1, message["frame"])
            self._changed.notify_all()
        self._listeners.wake()

    def _send(self, order: Mapping[str, Any]) -> None:
        if self._pipe is not None:
            with suppress(OSError, ValueError):  # the thread that listens finds out
                self._pipe.send(order)

    def _wait_for_frame(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._shown.jpeg is not None or self._shown.lost is not None, timeout=FIRST_FRAME_S
            )
            if self._shown.jpeg is None:
                raise InputError(f"the camera shows nothing: {self._shown.lost or 'it has sent no picture yet'}")

    def _ask(self, order: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        number = next(self._numbers)
        with self._changed:
            process = self._process
            self._send({"ask": number, **order})
            self._changed.wait_for(
                lambda: number in self._answers or self._process is not process or process is None, timeout=timeout_s
            )
            answer = self._answers.pop(number, None)
        if answer is None:
            raise InputError("the camera did not answer; look at it again")
        if "error" in answer:
            raise InputError(answer["error"])
        return answer
