"""Gaze of Tobii Pro Glasses 3: a JSON object a line, times from the start of the recording."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import numpy as np

from isotherm import limits
from isotherm.data.annotation_files import number, part_of, read_text
from isotherm.data.gaze.formats.raw import Missing, RawGaze, ReadOptions, checked_shares
from isotherm.data.gaze.formats.world import to_ns
from isotherm.data.pictures import check_regular_file
from isotherm.errors import InputError


def read_tobii_g3(path: Path, options: ReadOptions) -> RawGaze:
    """The file ``gazedata`` of a recording, packed (.gz) or not.

    A line is ``{"type": "gaze", "timestamp": 1.234, "data": {"gaze2d": [x, y], ...}}``; without gaze its data are
    empty. Other types of lines are passed over.

    Args:
        path: of the file.
        options: none of them is used.

    Raises:
        InputError: file and line of what is wrong, or no line of gaze.

    Source: Tobii Pro Glasses 3 developer guide: ``gaze2d`` are shares of the scene picture from its top left.
    """
    times, places, others = [], [], 0
    for i, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}:{i}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not JSON ({error}); is the file cut short?") from error
        if part_of(entry, "type", where, str, "'gaze' or another type") != "gaze":
            others += 1
            continue
        times.append(number(entry.get("timestamp"), where, "'timestamp'"))
        data = part_of(entry, "data", where, dict, "an object, empty where there is no gaze")
        place = data.get("gaze2d")
        if place is not None and (not isinstance(place, list) or len(place) != 2):
            raise InputError(f"{where}: 'gaze2d' is {place!r}; expected [x, y]")
        places.append([np.nan, np.nan] if place is None else [number(v, where, "'gaze2d'") for v in place])
    if not times:
        raise InputError(f"{path} has no line of the type 'gaze'; expected gazedata of Tobii Pro Glasses 3")
    xy = np.array(places, np.float64)
    checked_shares(xy, path, "gaze2d")
    missing = Missing(xy)
    missing.empty("no gaze found by the tracker")
    return RawGaze(
        path,
        "tobii-g3",
        to_ns(np.array(times)),
        xy,
        "shares",
        np.ones(len(xy), np.float32),
        "video",
        missing=missing.counts,
        notes=(
            "times are from the recording's start, which is taken for the scene video's first frame",
            "the format has no confidence: 1 wherever there is a place",
            *((f"{others} lines of other types were passed over",) if others else ()),
        ),
    )


def _unpacked(path: Path) -> bytes:
    """What a packed file unpacks to, as far as is read; a small file may claim to hold all memory."""
    most = max(limits.UNPACKED_BYTES, limits.UNPACKED_TIMES * path.stat().st_size)
    with gzip.open(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"{path} unpacks to more than {most} bytes; unpack it yourself where you trust it")
    return data


def _text(path: Path) -> str:
    if path.suffix != ".gz":
        return read_text(path)
    check_regular_file(path, "gaze file")
    try:
        return _unpacked(path).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be unpacked ({error}); it is damaged or cut short") from error
