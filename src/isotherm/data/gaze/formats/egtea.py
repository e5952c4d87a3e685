"""EGTEA Gaze+: what the program BeGaze exports, in the two forms that the data set has."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from isotherm.data.gaze.formats.raw import Missing, RawGaze, ReadOptions, checked_pixels
from isotherm.data.pictures import check_regular_file
from isotherm.errors import InputError

RATE_HZ = 24.0
SIZE = (960, 1280)
HEADER = 34
"""Lines before the first sample, as the data set's own reader has it."""
_CODE = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2}):([0-9]{1,2})")
FORMS = {7: (3, 4, 1_000), 26: (5, 6, 1_000_000)}
"""Of rows with so many words: which are x and y, and the nanoseconds of the unit of the first word."""


def read_egtea(path: Path, options: ReadOptions) -> RawGaze:
    """A BeGaze export of EGTEA Gaze+.

    After 34 lines of header, rows of 7 words (time in microseconds, type, trial, x, y, frame, event) or of 26 (time in
    milliseconds, ..., x and y as the sixth and seventh, ..., time code h:m:s:frame, event). Frames are those of a video
    of 24 frames per second, from 0, and pixels those of 1280 x 960.

    Args:
        path: of the text file.
        options: of them, the size of the picture whose pixels are counted, and the number of the first frame.

    Raises:
        InputError: file and line of what is wrong.

    Source: the data set's own reader of gaze, ``gaze_io_sample.py``: columns, the 24 frames and the 34 lines.
    """
    check_regular_file(path, "gaze file")
    lines = path.read_text(encoding="latin-1").splitlines()
    start = next((i for i, line in enumerate(lines) if i >= 1 and len(line.split()) in FORMS and _sample(line)), None)
    if start is None:
        raise InputError(f"{path} has no row of 7 or 26 words; expected BeGaze's export of EGTEA Gaze+")
    form = len(lines[start].split())
    at_x, at_y, unit = FORMS[form]
    first = options.first or 0
    times, frames, places, events = [], [], [], []
    for i, line in enumerate(lines[start:], start + 1):
        words = line.split()
        if not words:
            continue
        if len(words) != form:
            raise InputError(f"{path}:{i}: {len(words)} words; expected {form}, as in the rows before")
        try:
            times.append(float(words[0]))
            places.append((float(words[at_x]), float(words[at_y])))
            frames.append(int(words[5]) if form == 7 else _frame(words[-2]))
        except ValueError as error:
            raise InputError(f"{path}:{i}: {error}; expected numbers for time, x, y and frame") from error
        events.append(words[-1])
    frame = np.array(frames, np.int64) - first
    if frame.min() < 0:
        raise InputError(f"{path}: the lowest frame is {frame.min() + first}; the first one cannot be {first}")
    xy = np.array(places)
    checked_pixels(xy, path, "x and y")
    missing, names = Missing(xy), np.array(events)
    missing.empty()
    missing.where((xy == 0).all(-1), "(0, 0), which BeGaze writes where it has no gaze")
    missing.where(np.char.lower(names) == "blink", "blink")
    kinds = ", ".join(f"{n} {name}" for name, n in Counter(events).most_common())
    notes = [
        f"the file has {start} lines before its first sample"
        + ("" if start == HEADER else f", where {HEADER} are usual"),
        f"rows of {form} words; frames are those of a video of {RATE_HZ:g} frames per second, the first called {first}",
        "x and y are taken as they are, from the top-left edge: BeGaze does not say whether pixel 0 is an edge or a middle",
        "the format has no confidence: 1 wherever there is a place",
        f"events: {kinds}",
    ]
    return RawGaze(
        path,
        "egtea",
        np.rint(np.array(times) * unit).astype(np.int64),
        xy,
        "pixels",
        np.ones(len(xy), np.float32),
        "device",
        frame=frame,
        phase=0.5,
        gaze_size=options.gaze_size or SIZE,
        rate_hz=RATE_HZ,
        missing=missing.counts,
        notes=tuple(notes),
    )


def _sample(line: str) -> bool:
    return bool(re.fullmatch(r"[0-9]+(\.[0-9]+)?", line.split()[0]))


def _frame(code: str) -> int:
    match = _CODE.fullmatch(code)
    if match is None:
        raise ValueError(f"the time code is {code!r}")
    hours, minutes, seconds, frame = (int(part) for part in match.groups())
    if frame >= RATE_HZ:
        raise ValueError(f"the time code {code!r} has frame {frame} of a second of {RATE_HZ:g}")
    return (hours * 3600 + minutes * 60 + seconds) * int(RATE_HZ) + frame
