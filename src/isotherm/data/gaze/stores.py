"""Opening a store of gaze, whatever its kind, and many of them by the names of their videos."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.frames_store import NAME, FramesStore
from isotherm.data.gaze.npz_store import NpzStore
from isotherm.data.gaze.points_store import read_points
from isotherm.data.gaze.store import AbsentStore, GazeStore, MapOptions, Times
from isotherm.data.gaze.zarr_store import ZarrStore
from isotherm.data.names import near_names
from isotherm.errors import InputError
from isotherm.frame import Size
from isotherm.untrusted.plain import reads


def open_gaze_store(
    path: str | os.PathLike[str], *, options: MapOptions | None = None, missing_size: Size | None = None
) -> GazeStore:
    """The store at a path: points (.parquet), maps (.zarr), or maps as other programs wrote them (.npz, .npy, a folder
    of frame_000000.npy).

    Args:
        path: of the file or folder.
        options: what old files of maps do not say themselves.
        missing_size: (h, w) of the video. Where it is given, a recording that is not there or broken is a store that is
            MISSING at all times, and its notes and those of its clips name the path and say why; else that is an error.

    Raises:
        InputError: missing, broken, or no store of gaze, unless ``missing_size`` is given.
        MissingExtraError: pyarrow or zarr is not installed.

    Example:
        >>> store = open_gaze_store(tmp_path / "nowhere.parquet", missing_size=(480, 640))
        >>> store.clip([0.0, 0.1]).state.tolist()
        [1, 1]
    """
    where = Path(path)
    try:
        return _opened(where, options or MapOptions())
    except InputError as error:
        if missing_size is None:
            raise
        return AbsentStore(where, missing_size, str(error))


@reads()
def _opened(path: Path, options: MapOptions) -> GazeStore:
    if not path.exists():
        raise InputError(f"there is no gaze at {path}{near_names(path)}")
    if path.suffix == ".parquet":
        return read_points(path)
    if path.suffix in (".npz", ".npy"):
        return NpzStore(path, options)
    if path.is_dir() and (path / "zarr.json").is_file():
        return ZarrStore(path)
    if holds_frames(path):
        return FramesStore(path, options)
    raise InputError(
        f"{path} is no store of gaze; expected .parquet, .zarr, .npz, .npy or a folder with frame_000000.npy and so on"
    )


def holds_frames(path: Path) -> bool:
    """Whether a folder holds a frame_000000.npy or another one.

    Args:
        path: of anything.
    """
    return path.is_dir() and any(NAME.fullmatch(entry.name) for entry in path.iterdir())


class GazeStores:
    """The recordings of many videos, each opened when it is first needed; what is wrong with any is kept, once a path.

    Args:
        paths: of the stores by the names of their videos; a video without one is MISSING.
        size: (h, w) of the videos, for those whose store cannot be read.
        options: what old files of maps do not say themselves.

    Attributes:
        problems: of every path that could not be read, why.

    Example:
        >>> stores = GazeStores({"a": tmp_path / "a.parquet"}, size=(480, 640))
        >>> stores.clip("a", [0.0]).state.tolist(), len(stores.problems)
        ([1], 1)
    """

    def __init__(self, paths: Mapping[str, Path], *, size: Size, options: MapOptions | None = None) -> None:
        self._paths, self._size, self._options = dict(paths), size, options
        self._open: dict[str, GazeStore] = {}
        self.problems: dict[str, str] = {}

    def __getitem__(self, video: str) -> GazeStore:
        if video not in self._open:
            path = self._paths.get(video)
            if path is None:
                reason = f"there is no gaze for the video {video!r}"
                self._open[video] = AbsentStore(Path(video), self._size, reason)
                self.problems[video] = reason
            else:
                store = open_gaze_store(path, options=self._options, missing_size=self._size)
                if isinstance(store, AbsentStore):
                    self.problems[str(path)] = store.notes[0]
                self._open[video] = store
        return self._open[video]

    def clip(self, video: str, time_s: Times, *, window_s: float | None = None) -> GazeClip:
        """The gaze at the times of a clip's frames; MISSING, and a note, where it cannot be read.

        Args:
            video: its name.
            time_s, window_s: as of :meth:`GazeStore.clip`.
        """
        store = self[video]
        clip = store.clip(time_s, window_s=window_s)
        for note in clip.notes:
            self.problems.setdefault(str(store.path), note)
        return clip
