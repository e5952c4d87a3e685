"""Ego-Exo4D's gaze: Aria's directions, or places in the picture that were projected already (``*_eye_gaze_2d.csv``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isotherm.data.gaze.formats.aria import read_aria
from isotherm.data.gaze.formats.raw import Missing, RawGaze, ReadOptions, checked_pixels
from isotherm.data.gaze.formats.table import read_columns


def read_ego_exo4d(path: Path, options: ReadOptions) -> RawGaze:
    """Ego-Exo4D's gaze of a take.

    A name with ``_2d`` is read as places: ``frame_num``, ``x``, ``y`` and, where it is there, ``tracking_timestamp_us``
    of the recorder's clock. Other files are Aria's, for which a calibration is needed.

    Args:
        path: of the CSV.
        options: of them, the size of the picture whose pixels are counted (1408 x 1408 of the full video), and the
            calibration.

    Raises:
        OptionError: directions without a calibration.
        InputError: file, line and column of what is wrong.
    """
    if "_2d" not in path.stem:
        return read_aria(path, options, format="ego-exo4d")
    table = read_columns(path, "ego-exo4d", ("frame_num", "x", "y"), ("tracking_timestamp_us",))
    xy = np.stack([table.numbers("x", empty=True), table.numbers("y", empty=True)], -1)
    checked_pixels(xy, path, "x and y")
    missing = Missing(xy)
    missing.empty()
    timed = "tracking_timestamp_us" in table
    frame = table.whole("frame_num") - (options.first or 0)
    return RawGaze(
        path,
        "ego-exo4d",
        table.whole("tracking_timestamp_us") * 1_000 if timed else np.zeros(len(table), np.int64),
        xy + 0.5,
        "pixels",
        np.ones(len(table), np.float32),
        "device",
        # beside times, frame_num counts the samples of the gaze and no frames of the video
        frame=None if timed else frame,
        gaze_size=options.gaze_size,
        missing=missing.counts,
        notes=(
            "pixel 0 is the middle of the first pixel, as Aria has it: half a pixel was added",
            "the format has no confidence: 1 wherever there is a place",
            *(() if timed else ("frame_num is taken for the number of the video's frame",)),
        ),
    )
