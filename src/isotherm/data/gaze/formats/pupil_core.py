"""Pupil Core's gaze_positions.csv, as Pupil Player exports it: shares of the picture counted from its bottom left."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isotherm.data.gaze.formats.raw import Missing, RawGaze, ReadOptions, checked_shares
from isotherm.data.gaze.formats.table import read_columns
from isotherm.data.gaze.formats.world import to_ns

COLUMNS = ("gaze_timestamp", "world_index", "confidence", "norm_pos_x", "norm_pos_y")
OLDER = {"timestamp": "gaze_timestamp", "index": "world_index"}
"""What earlier versions of Pupil Player called two of the columns."""


def read_pupil_core(path: Path, options: ReadOptions) -> RawGaze:
    """Pupil Core's gaze; ``world_index`` is the nearest frame of the world video.

    Args:
        path: of gaze_positions.csv.
        options: of them, the least confidence and the number of the first frame (0).

    Raises:
        InputError: file, line and column of what is wrong.

    Source: Pupil Player's documentation of its raw data exporter, and of normalised coordinates (origin bottom left).
    """
    table = read_columns(path, "pupil-core", COLUMNS, ("base_data",), older=OLDER)
    xy = np.stack([table.numbers("norm_pos_x", empty=True), table.numbers("norm_pos_y", empty=True)], -1)
    checked_shares(xy, path, "norm_pos_x and norm_pos_y")
    xy[:, 1] = 1 - xy[:, 1]
    confidence = table.certainties("confidence")
    missing = Missing(xy)
    missing.empty()
    missing.where(confidence < options.least_confidence, f"confidence below {options.least_confidence:g}")
    notes = ["y was counted from the bottom, as the format has it, and is turned over"]
    if "base_data" in table:
        both = sum(len(text.split()) == 2 for text in table.cells["base_data"])
        notes.append(f"{both} of {len(table)} samples are made of both eyes")
    return RawGaze(
        path,
        "pupil-core",
        to_ns(table.numbers("gaze_timestamp")),
        xy,
        "shares",
        confidence.clip(0, 1).astype(np.float32),
        "device",
        frame=table.whole("world_index") - (options.first or 0),
        missing=missing.counts,
        notes=tuple(notes),
    )
