"""Whether a video was read to its end: what its file and its header promise, against what came out of it.

A decoder ends a file that is damaged in its middle as it ends a whole one, where the form of the file has nothing that
would lead it on behind the damage. What is left is that the header speaks of more.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from isotherm.errors import InputError

HEADED = ("mov,mp4", "matroska,webm", "avi")
"""Forms whose header says how long their tracks are; of others it is reckoned from what was read."""
LEAST_S, SHARE, FRAMES = 0.5, 0.02, 3.0
"""By how much a header may say too much: seconds, a share of the whole, and frames, whichever is most."""
_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def promised_s(container: Any, stream: Any) -> float | None:
    """How long a picture track is by its file's header, in seconds; None where it does not say so of this track.

    Args:
        container, stream: as :class:`isotherm.data.video.opened` gives them.
    """
    if not container.format.name.startswith(HEADED):
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    whole = container.duration / 1_000_000 if container.duration else None
    if (tag := _TAG.match(stream.metadata.get("DURATION", ""))) is not None:
        own = 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
        return own if whole is None else min(own, whole)
    return whole if len(container.streams) == 1 else None  # else it may be of the sound


def of_s(container: Any, stream: Any) -> str:
    """How long a picture track is meant to be, for messages; empty where that is not known.

    Args:
        container, stream: as of :func:`promised_s`.
    """
    promised = promised_s(container, stream)
    return "" if promised is None else f" of {promised:.2f} s"


def check_end(name: str, container: Any, stream: Any, end_s: float, frames: int) -> None:
    """Refuse a video that ended before its header says.

    Args:
        name: of the file, for the message.
        container, stream: as of :func:`promised_s`.
        end_s: when the last frame that was read ends, since the first moment of the video.
        frames: how many were read.

    Raises:
        InputError: it ended more than half a second, a fiftieth of its length and three frames too early; or a box of
            an MP4 file is none.
    """
    advice = f"copy it again, or make a whole file of what can be read (ffmpeg -i {Path(name).name} -c copy whole{Path(name).suffix})"
    if (at := damaged_at(name)) is not None:
        raise InputError(
            f"{name} breaks off after {frames} frames at {end_s:.2f} s: it is damaged from byte {at:,} on; {advice}"
        )
    promised = promised_s(container, stream)
    if promised is None:
        return
    rate = float(stream.average_rate) if stream.average_rate else 0.0
    if promised - end_s > max(LEAST_S, SHARE * promised, FRAMES / rate if rate else 0.0):
        raise InputError(
            f"{name} breaks off after {frames} frames at {end_s:.2f} s of {promised:.2f} s: it is damaged in its middle; {advice}"
        )


def missing_bytes(source: str) -> int:
    """Bytes that the outermost box of a file promises and the file does not have; 0 where nothing says.

    FFmpeg ends such a file as if it were whole. Read are MP4 boxes (ISO/IEC 14496-12), RIFF chunks (AVI) and
    the Matroska segment (RFC 9559).

    Args:
        source: a file; of addresses and devices nothing is known.
    """
    fpath = Path(source)
    if not fpath.is_file():
        return 0
    total = fpath.stat().st_size
    with fpath.open("rb") as file:
        head = file.read(64)
        if head[:4] == b"RIFF":
            size = int.from_bytes(head[4:8], "little")
            return 0 if size == 0xFFFFFFFF else max(0, size + 8 - total)  # unknown while it was recorded to a pipe
        if head[:4] == b"\x1aE\xdf\xa3":
            at, size = _ebml_size(head, 4)
            start = at + size  # of the segment, which holds all the rest
            file.seek(start + 4)
            at, size = _ebml_size(file.read(8), 0)
            return 0 if size < 0 else max(0, start + 4 + at + size - total)
        at = 0
        while head[4:8] == b"ftyp" and at < total:
            file.seek(at)
            box = file.read(16)
            size = int.from_bytes(box[:4], "big")
            size = int.from_bytes(box[8:16], "big") if size == 1 else size
            if size < 8 or not _named(box):  # 0: up to the end of the file
                return 0
            at += size
        return max(0, at - total)


def damaged_at(source: str) -> int | None:
    """The first byte of an MP4 file at which a box should begin and none does; None where there is no such byte.

    Args:
        source: a file; of other forms, addresses and devices nothing is known.
    """
    fpath = Path(source)
    if not fpath.is_file():
        return None
    total, at = fpath.stat().st_size, 0
    with fpath.open("rb") as file:
        while at + 8 <= total:
            file.seek(at)
            box = file.read(16)
            if at == 0 and box[4:8] != b"ftyp":
                return None
            if not _named(box):
                return at
            size = int.from_bytes(box[:4], "big")
            size = int.from_bytes(box[8:16], "big") if size == 1 else size
            if size < 8:
                return None
            at += size
    return None


def _named(box: bytes) -> bool:
    """Whether the name of an MP4 box is one: four letters, digits, signs, or the copyright sign of old tags."""
    return all(32 <= byte < 127 or byte == 0xA9 for byte in box[4:8])


def _ebml_size(data: bytes, at: int) -> tuple[int, int]:
    """Where an element's content starts and how long it is; -1 for unknown length (a live recording)."""
    if at >= len(data) or data[at] == 0:
        return at, -1
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    return at + width, -1 if value == (1 << 7 * width) - 1 else value
