"""Gaze of Pupil Labs' Neon (and Invisible): pixels of the scene camera, nanoseconds of the day."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isotherm.data.gaze.formats.raw import Missing, RawGaze, ReadOptions, checked_pixels
from isotherm.data.gaze.formats.table import read_columns

COLUMNS = ("timestamp [ns]", "gaze x [px]", "gaze y [px]")


def read_neon(path: Path, options: ReadOptions) -> RawGaze:
    """Neon's gaze.csv.

    Args:
        path: of gaze.csv.
        options: of them, the size of the picture whose pixels are counted.

    Raises:
        InputError: file, line and column of what is wrong.

    Source: Pupil Labs' documentation of Neon's data format.
    """
    table = read_columns(path, "neon", COLUMNS, ("worn", "blink id"))
    xy = np.stack([table.numbers("gaze x [px]", empty=True), table.numbers("gaze y [px]", empty=True)], -1)
    checked_pixels(xy, path, "gaze x [px] and gaze y [px]")
    missing = Missing(xy)
    missing.empty()
    if "worn" in table:
        missing.where(~(table.numbers("worn", empty=True) > 0), "not worn")
    if "blink id" in table:
        missing.where(np.array([bool(text) for text in table.cells["blink id"]]), "blink")
    return RawGaze(
        path,
        "neon",
        table.whole("timestamp [ns]"),
        xy + 0.5,
        "pixels",
        np.ones(len(table), np.float32),
        "device",
        gaze_size=options.gaze_size,
        missing=missing.counts,
        notes=(
            "pixel 0 is the middle of the first pixel, as in OpenCV: half a pixel was added",
            "the format has no confidence: 1 wherever there is a place",
        ),
    )
