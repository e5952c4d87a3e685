"""The gaze of videos by their names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.clock import read_clock
from isotherm.data.gaze.store import AbsentStore, GazeStore, MapOptions
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.errors import InputError
from isotherm.frame import Frame, Size
from isotherm.progress import Say
from isotherm.train.anticipation.video_files import GAZE_ENDINGS, NamedFiles

ALIKE = 0.01
"""By how much the shapes of a recording's picture and of the video may differ, as shares."""


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
    if store.size == size:
        return store
    scale = size[0] / store.size[0], size[1] / store.size[1]
    if abs(scale[0] / scale[1] - 1) > ALIKE:
        raise InputError(
            f"{path} is of a picture of {store.size[1]} x {store.size[0]} pixels, and {fpath} has {size[1]} x {size[0]}, which is another shape; expected gaze of this video"
        )
    say(f"{path} is of a picture of {store.size[1]} x {store.size[0]} pixels; its places are scaled to the video's")
    return ScaledStore(store, size)


class ScaledStore(GazeStore):
    """A recording of the same picture with other pixels.

    Args:
        store: the recording.
        size: (h, w) of the video.
    """

    def __init__(self, store: GazeStore, size: Size) -> None:
        self._store = store
        self.path, self.size, self.notes = store.path, size, store.notes
        self.window_s, self.time_s = store.window_s, store.time_s

    def read(self, time_s: Float64[np.ndarray, " t"], window_s: float) -> GazeClip:
        """The clip with places in the video's own pixels."""
        clip = self._store.read(time_s, window_s)
        h, w = self._store.size
        factors = torch.tensor([self.size[1] / w, self.size[0] / h], dtype=torch.float64)
        frame = Frame.identity(self.size) if clip.maps is None else Frame.resize(self.size, clip.frame.size)
        return replace(clip, xy=clip.xy * factors, frame=frame)
