"""Ego4D's gaze: a CSV on the canonical clock of the video, shares of the picture counted from its bottom left."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isotherm.data.gaze.formats.raw import Missing, RawGaze, ReadOptions, checked_shares
from isotherm.data.gaze.formats.table import read_columns
from isotherm.data.gaze.formats.world import to_ns

COLUMNS = ("canonical_timestamp_s", "norm_pos_x", "norm_pos_y", "confidence")


def read_ego4d(path: Path, options: ReadOptions) -> RawGaze:
    """Ego4D's gaze of a video.

    Args:
        path: of the CSV.
        options: of them, the least confidence.

    Raises:
        InputError: file, line and column of what is wrong.

    Source: the data set's description of its gaze files: ``canonical_timestamp_s`` is time in the canonical video, and
    ``norm_pos_y`` is 0 at the bottom.
    """
    table = read_columns(path, "ego4d", COLUMNS)
    xy = np.stack([table.numbers("norm_pos_x", empty=True), table.numbers("norm_pos_y", empty=True)], -1)
    checked_shares(xy, path, "norm_pos_x and norm_pos_y")
    xy[:, 1] = 1 - xy[:, 1]
    confidence = table.certainties("confidence", empty=True)
    missing = Missing(xy)
    missing.empty()
    missing.where(~(confidence >= options.least_confidence), f"confidence below {options.least_confidence:g}")
    return RawGaze(
        path,
        "ego4d",
        to_ns(table.numbers("canonical_timestamp_s")),
        xy,
        "shares",
        np.nan_to_num(confidence).clip(0, 1).astype(np.float32),
        "video",
        missing=missing.counts,
        notes=("y was counted from the bottom, as the format has it, and is turned over",),
    )
