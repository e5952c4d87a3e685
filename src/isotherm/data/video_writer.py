"""An MP4 that is written frame by frame, each at the moment at which it came: for recordings of cameras."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from isotherm.errors import InputError, MissingExtraError

TICKS = 1000
"""Of the clock of a recording, a second."""
Writer = TypeVar("Writer", bound="VideoWriter")


class VideoWriter:
    """Writes frames with their times, as a context; the file is whole when the context ends.

    Args:
        fpath: the file, an MP4 whatever its suffix.

    Raises:
        MissingExtraError: PyAV is not installed.
    """

    def __init__(self, fpath: Path) -> None:
        try:
            import av
        except ImportError as error:
            raise MissingExtraError("av", "video", "writing an MP4") from error
        self._av: Any = av
        self._container: Any = av.open(str(fpath), "w", format="mp4")
        self._stream: Any = None
        self._last = -1
        self.frames = 0

    def __enter__(self: Writer) -> Writer:
        return self

    def add(self, frame: UInt8[np.ndarray, "h w 3"], time_s: float) -> None:
        """Write a frame.

        Args:
            frame: RGB; an odd last row or column is left out, since the format has none.
            time_s: when it came, later than the one before; one that is not later by a thousandth of a second is left
                out.

        Raises:
            InputError: a frame of another size than the first.
        """
        h, w = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
        ticks = round(time_s * TICKS)
        if ticks <= self._last:
            return
        if self._stream is None:
            self._stream = self._made(h, w)
        if (h, w) != (self._stream.height, self._stream.width):
            raise InputError(
                f"the picture changed from {self._stream.width} x {self._stream.height} to {w} x {h} pixels; a recording has one size"
            )
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:h, :w]), format="rgb24")
        picture.pts, picture.time_base = ticks, Fraction(1, TICKS)
        self._container.mux(self._stream.encode(picture))
        self._last = ticks
        self.frames += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if self._stream is not None:
                self._container.mux(self._stream.encode())
        finally:
            self._container.close()

    def _made(self, h: int, w: int) -> Any:
        codec = next(name for name in ("libx264", "libopenh264", "mpeg4") if name in self._av.codecs_available)
        stream = self._container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"  # the one that every player shows
        stream.codec_context.time_base = Fraction(1, TICKS)
        if codec == "libx264":
            stream.codec_context.options = {"crf": "20", "preset": "veryfast"}
        return stream
