"""The process that reads one camera: the newest frame as JPEG for whoever watches, at full size for whoever asks.

It is a process of its own so that a stream that hangs, or a decoder that crashes, takes nothing with it. What goes in
and comes out are plain dictionaries. No torch here: it starts with the first who watches.
"""

from __future__ import annotations

import io
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from isotherm.data.video import STREAM_PREFIXES, VideoFrame, camera, read_frames
from isotherm.data.video_writer import VideoWriter
from isotherm.errors import InputError, IsothermError
from isotherm.studio.live.marks import mark

SHOWN_SIDE = 960
"""The longer side of what is shown live, in pixels at most."""
SHOWN_HZ = 12.0
RETRY_S = 2.0
"""How long a camera that was lost is left alone before it is tried again."""


def serve(pipe: Connection, source: str) -> None:
    """Read a camera until the studio closes the pipe.

    Args:
        pipe: out go ``{"frame": JPEG, "h", "w"}``, ``{"lost": why}`` and answers ``{"answer": number, ...}``; in come
            ``{"detections": [...]}`` to draw, and ``{"ask": number, "what": "still"}`` (answer ``jpeg``) or
            ``{..., "what": "record", "seconds", "fpath"}`` (answer ``frames``). An answer may be ``error``.
        source: a camera's number, a stream's address, or a video file, which is played again and again.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the studio decides what it means
    capture = Capture(pipe)
    try:
        while True:
            try:
                for frame in moving(source, capture.wait):
                    capture.show(frame)
                capture.lose("it stopped sending")
            except IsothermError as error:
                capture.lose(str(error))
            capture.wait(RETRY_S)
    except (EOFError, OSError):  # nobody is left
        return


def moving(source: str, wait: Callable[[float], None]) -> Iterator[VideoFrame]:
    """The frames of a camera as they come; of a file at its own pace, from the start again at its end.

    Args:
        source: as of :func:`serve`.
        wait: called with the seconds until the next frame of a file is due.
    """
    if is_live(source):
        yield from read_frames(camera(int(source)) if source.isdecimal() else source)
        return
    while True:
        began = time.monotonic()
        for frame in read_frames(source):
            wait(max(0.0, began + frame.time_s - time.monotonic()))
            yield frame


def is_live(source: str) -> bool:
    """Whether a source has its own pace: a camera or a stream, and no file."""
    return (
        source.isdecimal() or source.startswith(STREAM_PREFIXES) or re.fullmatch(r"/dev/video\d+", source) is not None
    )


class Capture:
    """What is done with each frame, and with what the studio asks for.

    Args:
        pipe: as of :func:`serve`.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._newest: VideoFrame | None = None
        self._detections: Sequence[Mapping[str, Any]] = ()
        self._recording: Recording | None = None
        self._shown_s = -1.0

    def wait(self, seconds: float) -> None:
        """Do what is asked for, until so many seconds are over.

        Raises:
            EOFError, OSError: the studio closed the pipe.
        """
        until = time.monotonic() + seconds
        while self._pipe.poll(max(0.0, until - time.monotonic())):
            self._take(self._pipe.recv())

    def show(self, frame: VideoFrame) -> None:
        """Send a frame where it is time for one, record it where frames are recorded, and do what is asked for."""
        self._newest = frame
        now = time.monotonic()
        shown = now - self._shown_s >= 1 / SHOWN_HZ
        if shown or self._recording is not None:
            array = frame.array()
            if self._recording is not None:
                self._record(array, now)
            if shown:
                self._shown_s = now
                image = mark(small(array, SHOWN_SIDE), self._detections, SHOWN_SIDE / max(SHOWN_SIDE, *array.shape[:2]))
                self._pipe.send({"frame": jpeg(image, 80), "h": array.shape[0], "w": array.shape[1]})
        self.wait(0.0)

    def lose(self, why: str) -> None:
        """Say that the camera was lost."""
        self._newest, self._detections = None, ()
        if self._recording is not None:
            self._end_recording(f"the camera was lost while it was recorded: {why}")
        self._pipe.send({"lost": why})

    def _take(self, order: Mapping[str, Any]) -> None:
        if "detections" in order:
            self._detections = order["detections"]
            return
        try:
            self._answer(order)
        except (IsothermError, OSError) as error:
            self._pipe.send({"answer": order["ask"], "error": str(error)})

    def _answer(self, order: Mapping[str, Any]) -> None:
        if self._newest is None:
            raise InputError("the camera shows nothing; look at it again when it is back")
        if order["what"] == "still":
            self._pipe.send({"answer": order["ask"], "jpeg": jpeg(Image.fromarray(self._newest.array()), 95)})
        elif self._recording is not None:
            raise InputError("the camera is being recorded already; wait until that has ended")
        else:
            self._recording = Recording(order["ask"], VideoWriter(Path(order["fpath"])), order["seconds"])

    def _record(self, array: np.ndarray, now: float) -> None:
        assert self._recording is not None
        try:
            if self._recording.add(array, now):
                self._end_recording(None)
        except InputError as error:
            self._end_recording(str(error))

    def _end_recording(self, error: str | None) -> None:
        recording, self._recording = self._recording, None
        assert recording is not None
        recording.writer.__exit__(None, None, None)
        answer = {"frames": recording.writer.frames} if error is None else {"error": error}
        self._pipe.send({"answer": recording.number, **answer})


class Recording:
    """Frames of some seconds, on their way into a file.

    Args:
        number: of the question whose answer it is.
        writer: of the file.
        seconds: how long.
    """

    def __init__(self, number: int, writer: VideoWriter, seconds: float) -> None:
        self.number, self.writer, self.seconds = number, writer, seconds
        self._began: float | None = None

    def add(self, array: np.ndarray, now: float) -> bool:
        """Write a frame; whether it was the last one."""
        self._began = now if self._began is None else self._began
        self.writer.add(array, now - self._began)
        return now - self._began >= self.seconds


def small(array: np.ndarray, side: int) -> Image.Image:
    """A frame as a picture of at most so many pixels on its longer side."""
    image = Image.fromarray(array)
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return image


def jpeg(image: Image.Image, quality: int) -> bytes:
    """The bytes of a picture as JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
