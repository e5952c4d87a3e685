"""Gaze points in Parquet, the usual store: some kilobytes a video, rendered when they are read."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from isotherm.atomic import atomic_write
from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.recording import GazeRecording, Pooling
from isotherm.data.gaze.seal import check_seal, sealed
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.store import GazeStore, usual_window_s
from isotherm.data.names import near_names
from isotherm.errors import InputError, MissingExtraError, ShapeError
from isotherm.untrusted.plain import reads

FORMAT = "isotherm.gaze/1"
KEY = b"isotherm"
COLUMNS = {"time_s": np.float64, "x": np.float64, "y": np.float64, "state": np.uint8, "confidence": np.float32}


class PointsStore(GazeStore):
    """A recording in memory, read from Parquet.

    Args:
        recording: the points.
        path: of the file.
        video: the name of the video that they belong to, empty where none was given.
        pooling: how samples become the gaze of a moment, as of :meth:`GazeRecording.at`.
    """

    def __init__(self, recording: GazeRecording, path: Path, *, video: str = "", pooling: Pooling = "nearest") -> None:
        self.recording, self.path, self.video, self.pooling = recording, path, video, pooling
        self.size, self.notes, self.time_s = recording.size, recording.notes, recording.time_s
        self.window_s = usual_window_s(recording.time_s)

    def read(self, time_s: Float64[np.ndarray, " t"], window_s: float) -> GazeClip:
        """The clip of points."""
        return GazeClip.of_samples(self.recording.at(time_s, window_s=window_s, pooling=self.pooling), self.size)


def write_points(recording: GazeRecording, fpath: str | os.PathLike[str], *, video: str = "") -> Path:
    """Write a recording as Parquet; the file is whole or not there.

    Args:
        recording: the points.
        fpath: of the file.
        video: the name of the video that they belong to.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: there is no such folder.
    """
    arrow, parquet = _pyarrow()
    header = {
        "format": FORMAT,
        "size": list(recording.size),
        "video": video,
        "states": {state.name.lower(): int(state) for state in GazeState},
        "units": "time_s: seconds since the video's first frame; x, y: its pixels from the top-left edge",
        "notes": list(recording.notes),
    }
    values = (recording.time_s, *recording.xy.T, recording.state, recording.confidence)
    columns = {name: value.astype(kind) for (name, kind), value in zip(COLUMNS.items(), values, strict=True)}
    header = sealed(header, *(np.ascontiguousarray(column).tobytes() for column in columns.values()))
    table = arrow.table(columns).replace_schema_metadata({KEY: json.dumps(header, allow_nan=False).encode()})
    whole = io.BytesIO()
    parquet.write_table(table, whole, compression="zstd", write_page_checksum=True)
    with atomic_write(fpath) as file:
        file.write(whole.getbuffer())
    return Path(fpath)


@reads()
def read_points(fpath: str | os.PathLike[str], *, pooling: Pooling = "nearest") -> PointsStore:
    """The store that :func:`write_points` wrote.

    Args:
        fpath: of the file.
        pooling: how samples become the gaze of a moment, as of :meth:`GazeRecording.at`.

    Raises:
        InputError: missing, broken, or another kind of file.
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    path = Path(fpath)
    if not path.is_file():
        raise InputError(f"there is no gaze file {path}{near_names(path)}")
    try:
        table = parquet.read_table(path, page_checksum_verification=True)
        header = json.loads((table.schema.metadata or {}).get(KEY, b"{}"))
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({_first_line(error)}); import it again") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InputError(f"{path} is no file of gaze points ({FORMAT}); make one with isotherm gaze import")
    try:
        columns = {name: table[name].to_numpy().astype(kind) for name, kind in COLUMNS.items()}
        check_seal(header, *(column.tobytes() for column in columns.values()))
        h, w = header["size"]
        recording = GazeRecording(
            columns["time_s"],
            np.stack([columns["x"], columns["y"]], -1),
            columns["state"],
            columns["confidence"],
            (int(h), int(w)),
            tuple(header.get("notes", ())),
        )
    except (KeyError, ValueError, TypeError, ShapeError, InputError) as error:
        raise InputError(f"{path} is broken: {_first_line(error)}; import it again") from error
    return PointsStore(recording, path, video=str(header.get("video", "")), pooling=pooling)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "store", "storing gaze points") from error
    return pyarrow, pyarrow.parquet
