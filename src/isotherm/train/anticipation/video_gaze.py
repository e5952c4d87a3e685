"""The gaze of videos by their names."""

from __future__ import annotations

from pathlib import Path

from isotherm.data.gaze.clock import read_clock
from isotherm.data.gaze.scaled_store import fitted_store
from isotherm.data.gaze.store import AbsentStore, GazeStore, MapOptions
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.frame import Size
from isotherm.progress import Say
from isotherm.train.anticipation.video_files import GAZE_ENDINGS, NamedFiles


class VideoGaze:
    """The recordings of a source, each opened when it is first needed; a problem is told once.

    Maps that do not say themselves when they were are those of the video's frames, by its own clock.

    Args:
        where: a folder, or a path with ``{video}`` in it; empty: nothing is known of any gaze.
        root: where a relative path starts.
    """

    def __init__(self, where: str, *, root: Path) -> None:
        self._files = NamedFiles(where, GAZE_ENDINGS, root=root) if where else None
        self._open: dict[str, GazeStore | None] = {}

    def lacking(self, video: str) -> str | None:
        """Why nothing is known of a video's gaze although it should be; None where there is a recording.

        Args:
            video: its name.
        """
        if self._files is None or self._files.path(video) is not None:
            return None
        return f"there is no gaze of {video} at {self._files.sought(video)}; it is missing in all its clips"

    def store(self, video: str, fpath: Path, size: Size, say: Say) -> GazeStore | None:
        """The recording of a video; None where nothing is known.

        Args:
            video: its name.
            fpath: its file.
            size: (h, w) of its pictures.
            say: is told what is wrong with a recording, and what was assumed of it.

        Raises:
            InputError: it is of a picture of another shape.
        """
        if self._files is None:
            return None
        if video not in self._open:
            path = self._files.path(video)
            for other in self._files.others(video):
                say(f"there is gaze of {video} at {path} and at {other}; the first is read")
            self._open[video] = None if path is None else _opened(path, fpath, size, say)
        return self._open[video]


def _opened(path: Path, fpath: Path, size: Size, say: Say) -> GazeStore | None:
    options = None
    if path.suffix not in (".parquet", ".zarr"):
        options = MapOptions(size=size, times_s=read_clock(fpath).time_s)
    store = open_gaze_store(path, options=options, missing_size=size)
    if isinstance(store, AbsentStore):
        say(f"{store.notes[0]}; gaze is missing in all clips of this video")
        return None
    fitted = fitted_store(store, size, str(fpath))
    if fitted is not store:
        say(f"{path} is of a picture of {store.size[1]} x {store.size[0]} pixels; its places are scaled to the video's")
    return fitted
