"""Project Aria's gaze: directions from between the eyes, projected into a camera by its calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isotherm.data.gaze.formats.aria_camera import read_calibration
from isotherm.data.gaze.formats.raw import Missing, RawGaze, ReadOptions
from isotherm.data.gaze.formats.table import Table, read_columns
from isotherm.errors import InputError, OptionError

DEPTH_M = 1.0
"""Where no depth is known, as Aria's own tools take it."""


def read_aria(path: Path, options: ReadOptions, *, format: str = "aria") -> RawGaze:
    """Aria's ``general_eye_gaze.csv``, ``personalized_eye_gaze.csv``, ``eyegaze.csv`` or ``*_eye_gaze.csv``.

    Args:
        path: of the CSV: ``tracking_timestamp_us``, ``pitch_rads_cpf``, and ``yaw_rads_cpf`` or both
            ``left_yaw_rads_cpf`` and ``right_yaw_rads_cpf``; ``depth_m`` where it is there.
        options: of them, the calibration and the size of the video.
        format: the name for messages.

    Raises:
        OptionError: no calibration.
        InputError: file, line and column of what is wrong, or a calibration for pictures of another size.

    Source: Project Aria's description of its gaze files; the directions are (tan yaw, tan pitch, 1) in the central
    pupil frame, and the yaw of both eyes has the mean tangent.
    """
    if options.calibration is None:
        raise OptionError(
            f"the format {format} gives directions, and a calibration says where they are in the picture: give the camera's as JSON (--calibration)"
        )
    camera = read_calibration(options.calibration)
    if options.size is not None and camera.size != options.size:
        raise InputError(
            f"{options.calibration} is for pictures of {camera.size[1]} x {camera.size[0]} pixels, and the video has {options.size[1]} x {options.size[0]}; rescale the calibration to the video"
        )
    table = read_columns(
        path,
        format,
        ("tracking_timestamp_us", "pitch_rads_cpf"),
        ("yaw_rads_cpf", "left_yaw_rads_cpf", "right_yaw_rads_cpf", "depth_m"),
    )
    tangent, how = _tangent_of_yaw(table)
    pitch = table.numbers("pitch_rads_cpf", empty=True)
    depth = table.numbers("depth_m", empty=True) if "depth_m" in table else np.full(len(table), np.nan)
    unknown = ~(depth > 0)
    direction = np.stack([tangent, np.tan(pitch), np.ones(len(table))], -1)
    points = direction / np.linalg.norm(direction, axis=-1, keepdims=True) * np.where(unknown, DEPTH_M, depth)[:, None]
    xy = np.full((len(table), 2), np.nan)
    known = np.isfinite(points).all(-1)
    xy[known] = camera.project(points[known])
    missing = Missing(xy)
    behind = known & ~np.isfinite(xy).all(-1)
    missing.empty("no direction in the file, or one behind the camera")
    notes = [
        how,
        f"{int(unknown.sum())} of {len(table)} samples have no depth and are taken at {DEPTH_M:g} m",
        *camera.notes,
        "the format has no confidence: 1 wherever there is a place",
    ]
    if behind.any():
        notes.append(f"{int(behind.sum())} directions lie behind the camera")
    return RawGaze(
        path,
        format,
        table.whole("tracking_timestamp_us") * 1_000,
        xy,
        "pixels",
        np.ones(len(table), np.float32),
        "device",
        gaze_size=camera.size,
        missing=missing.counts,
        notes=tuple(notes),
    )


def _tangent_of_yaw(table: Table) -> tuple[np.ndarray, str]:
    if "yaw_rads_cpf" in table:
        return np.tan(table.numbers("yaw_rads_cpf", empty=True)), "the yaw is that of both eyes together"
    if "left_yaw_rads_cpf" not in table or "right_yaw_rads_cpf" not in table:
        raise InputError(
            f"{table.path}: there is no column 'yaw_rads_cpf', nor 'left_yaw_rads_cpf' and 'right_yaw_rads_cpf'; expected Aria's gaze"
        )
    both = [np.tan(table.numbers(f"{side}_yaw_rads_cpf", empty=True)) for side in ("left", "right")]
    return (both[0] + both[1]) / 2, "the yaw is made of those of the left and the right eye, where their rays meet"
