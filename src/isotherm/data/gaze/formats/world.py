"""When a recorder took the frames of its world camera, on its own clock: what ties its gaze to its video."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from isotherm.data.gaze.formats.table import read_columns
from isotherm.data.pictures import check_regular_file
from isotherm.errors import InputError
from isotherm.untrusted.arrays import read_array
from isotherm.untrusted.plain import reads

UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "seconds": 1_000_000_000}
_NAMED = re.compile(r"#? ?.*timestamps?(?:_\w+?)?(?: \[(ns|us|ms|s|seconds)\]|_(ns|us|ms|s))", re.IGNORECASE)


@reads()
def read_world_timestamps(path: Path) -> Int64[np.ndarray, " n"]:
    """The recorder's time of every frame of its video, in nanoseconds.

    Read are Pupil Core's ``world_timestamps.npy`` (seconds) and the table that Pupil Player exports, Neon's
    ``world_timestamps.csv``, and any CSV with one column whose name has "timestamp" and its unit: ``timestamp [ns]``,
    ``# timestamps [seconds]``, ``capture_timestamp_ns``.

    Args:
        path: .npy or .csv.

    Raises:
        InputError: missing, no such column or several, or times that do not grow.
    """
    check_regular_file(path, "file of world timestamps")
    if path.suffix == ".npy":
        values = read_array(path)
        if values.ndim != 1 or not np.isfinite(values).all():
            raise InputError(f"{path} has the form {list(values.shape)}; expected one finite time for each frame")
        whole = np.issubdtype(values.dtype, np.integer)  # whole numbers are nanoseconds, others Pupil Core's seconds
        times = values.astype(np.int64) if whole else to_ns(values.astype(np.float64))
    else:
        times = _of_table(path)
    late = np.flatnonzero(np.diff(times) <= 0)
    if len(late):
        raise InputError(f"{path}: frame {late[0] + 1} is not later than frame {late[0]}; expected times that grow")
    return times


def to_ns(seconds: np.ndarray) -> Int64[np.ndarray, " n"]:
    """Seconds as whole nanoseconds.

    Args:
        seconds: (n,) finite.
    """
    return np.rint(seconds * 1e9).astype(np.int64)


def _of_table(path: Path) -> np.ndarray:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = next((line for line in file if line.strip()), "")
    names = [" ".join(name.replace("\xa0", " ").split()) for name in header.rstrip("\n").split(",")]
    timed = [(name, match) for name in names if (match := _NAMED.fullmatch(name))]
    if len(timed) != 1:
        raise InputError(
            f"{path}: the columns are {', '.join(names[:12])}; expected one with a time and its unit, such as 'timestamp [ns]' or 'capture_timestamp_ns'"
        )
    name, match = timed[0]
    unit = UNITS[(match[1] or match[2]).lower()]
    table = read_columns(path, "world timestamps", (name,))
    if unit == 1:
        return table.whole(name)
    return np.rint(table.numbers(name) * unit).astype(np.int64)
