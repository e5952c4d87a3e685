"""Looking at videos that were sent: how long they are, a frame of one, a row of its frames for a time line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from isotherm.data.video import probe_video
from isotherm.data.video_end import missing_bytes
from isotherm.data.video_seek import frame_at, frames_at, length_s
from isotherm.errors import InputError

THUMB_HEIGHT, THUMB_WIDTH = 72, 288
"""Of the frames of a time line, in pixels; wider ones, which would take all memory, are squeezed."""


def look(fpath: str) -> dict[str, Any]:
    """Size, frames, seconds and frames a second of a video.

    Args:
        fpath: the file.

    Returns:
        ``h``, ``w``, ``frames``, ``seconds``, ``fps``.

    Raises:
        InputError: it cannot be read, or a part of it is missing.
    """
    if missing := missing_bytes(fpath):
        raise InputError(f"{fpath} was cut short: {missing} bytes are missing at its end; send it again")
    h, w = probe_video(fpath).size
    frames, seconds = length_s(fpath)
    return {"h": h, "w": w, "frames": frames, "seconds": seconds, "fps": frames / seconds if seconds else 0.0}


def frame(fpath: str, at_s: float, side: int | None, form: str) -> tuple[bytes, float]:
    """A frame as the bytes of a picture's file, and when it is shown.

    Args:
        fpath: the file.
        at_s: seconds since the first moment.
        side: the longer side in pixels, at most; None: as it is.
        form: JPEG or PNG.

    Raises:
        InputError: it cannot be read.
    """
    shown = frame_at(fpath, at_s)
    image = Image.fromarray(shown.array())
    if side is not None and max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return _bytes(image, form), shown.time_s


def strip(fpath: str, count: int, seconds: float) -> bytes:
    """Frames of a video beside each other, evenly spread over it, as one JPEG.

    Args:
        fpath: the file.
        count: how many.
        seconds: of the whole video.

    Raises:
        InputError: it cannot be read.
    """
    times = [seconds * (i + 0.5) / count for i in range(count)]
    tiles = [Image.fromarray(one.array()) for one in frames_at(Path(fpath), times)]
    width = min(THUMB_WIDTH, max(1, round(THUMB_HEIGHT * tiles[0].width / tiles[0].height)))
    row = Image.new("RGB", (width * count, THUMB_HEIGHT))
    for i, tile in enumerate(tiles):
        row.paste(tile.resize((width, THUMB_HEIGHT), Image.Resampling.BILINEAR, reducing_gap=2.0), (i * width, 0))
    return _bytes(row, "JPEG")


def _bytes(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **({"quality": 88} if form == "JPEG" else {}))
    return file.getvalue()
