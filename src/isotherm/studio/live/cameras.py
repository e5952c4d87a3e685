"""The cameras that were named where the studio was started, and what a model finds on them while they are looked at."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from isotherm.data.video import STREAM_PREFIXES
from isotherm.errors import InputError, IsothermError, OptionError
from isotherm.jobs.options import ModelOptions
from isotherm.studio.live.camera import Camera
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.work.workroom import Workroom

FORGOTTEN_S = 60.0
"""After how long a model stops looking where nobody watches or asks: a page that was closed may not have said so."""


class Cameras:
    """Cameras by their ids, "1", "2", ... in the order in which they were named.

    Args:
        sources: camera numbers, addresses of streams, video files.
        room: whose worker looks for things; not needed where there is no camera.

    Raises:
        OptionError: what is none of those.
    """

    def __init__(self, sources: Sequence[str] = (), room: Workroom | None = None) -> None:
        assert room is not None or not sources
        self._all = {
            str(i): Watched(Camera(checked_source(source)), name_of(source), room)
            for i, source in enumerate(sources, 1)
        }

    def __getitem__(self, camera_id: str) -> Watched:
        try:
            return self._all[camera_id]
        except KeyError:
            there = f"there are {', '.join(self._all)}" if self._all else "none was named with --camera"
            raise NotThere(f"there is no camera {camera_id[:20]!r}; {there}") from None

    def facts(self) -> list[dict[str, Any]]:
        """What is known of each, for the page."""
        return [{"id": camera_id, **watched.facts()} for camera_id, watched in self._all.items()]

    def close(self) -> None:
        """Let go of all."""
        for watched in self._all.values():
            watched.close()


class Watched:
    """A camera and what is looked for on it.

    Args:
        camera: the camera.
        name: for people.
        room: whose worker looks; runs go first, and only the newest frame is ever looked at.
    """

    def __init__(self, camera: Camera, name: str, room: Workroom | None) -> None:
        self.camera, self.name, self._room = camera, name, room
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None
        self._model: str | None = None
        self._error: str | None = None
        self._findings: list[dict[str, Any]] | None = None
        self._seen_s = 0.0

    def facts(self) -> dict[str, Any]:
        """Its name, whether it shows something or why not, and what was found last."""
        self._seen_s = time.monotonic()
        shown = self.camera.shown
        state = "off" if not self.camera.is_open else "on" if shown.jpeg else "lost" if shown.lost else "opening"
        return {
            "name": self.name,
            "state": state,
            "why": shown.lost if state == "lost" else None,
            "looking": self._stop is not None,
            "model": self._model,
            "error": self._error,
            "findings": self._findings,
        }

    def start(self, options: ModelOptions) -> None:
        """Look for things on the newest frame again and again; what was looked for before ends."""
        self.stop()
        with self._lock:
            self._stop, self._error, self._findings, self._model = threading.Event(), None, None, options.model
            self._seen_s = time.monotonic()
            threading.Thread(
                target=self._look, args=(options, self._stop), name="isotherm studio: looking", daemon=True
            ).start()

    def stop(self) -> None:
        """Look no more."""
        with self._lock:
            if self._stop is not None:
                self._stop.set()
            self._stop = None
        self.camera.draw([])

    def close(self) -> None:
        """Let go of it."""
        self.stop()
        self.camera.close()

    def _look(self, options: ModelOptions, stop: threading.Event) -> None:
        try:
            with self.camera.used():
                while not stop.is_set():
                    self._check_watched()
                    self._glance(options, stop)
        except IsothermError as error:
            with self._lock:
                if self._stop is stop:
                    self._stop, self._error = None, str(error)
            self.camera.draw([])

    def _check_watched(self) -> None:
        if self.camera.users > 1:  # whoever looks for things is one
            self._seen_s = time.monotonic()
        elif time.monotonic() - self._seen_s > FORGOTTEN_S:
            raise InputError("nobody has watched for a while; start it again")

    def _glance(self, options: ModelOptions, stop: threading.Event) -> None:
        try:
            still = self.camera.still()
        except InputError:  # lost: it may come back
            if self.camera.is_closed:
                raise
            self._findings = None
            stop.wait(1.0)
            return
        assert self._room is not None
        findings = self._room.glance(options, still)
        if stop.is_set():
            return
        self._findings = findings  # None while a run is worked on: old boxes over a new picture would mislead
        self.camera.draw(findings or [])


def checked_source(source: str) -> str:
    """What ``--camera`` was given.

    Raises:
        OptionError: it is no camera's number, stream or file.
    """
    if source.isdecimal() or source.startswith(STREAM_PREFIXES) or re.fullmatch(r"/dev/video\d+", source):
        return source
    if not Path(source).is_file():
        raise OptionError(
            f"--camera {source}: expected a camera's number (0), the address of a stream (rtsp://...), or a video file"
        )
    return source


def name_of(source: str) -> str:
    """What a camera is called on the page, where neither passwords nor folders belong.

    Example:
        >>> name_of("0"), name_of("rtsp://me:secret@10.0.0.9:554/live?k=1"), name_of("/home/me/clip.mp4")
        ('camera 0', 'stream from 10.0.0.9', 'clip.mp4')
    """
    if source.isdecimal():
        return f"camera {source}"
    if source.startswith(STREAM_PREFIXES):
        return f"stream from {urlsplit(source).hostname or 'elsewhere'}"
    return Path(source).name
