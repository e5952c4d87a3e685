"""A recording that was made of a smaller or larger copy of a video."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float64

from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.store import GazeStore
from isotherm.errors import InputError
from isotherm.frame import Frame, Size

ALIKE = 0.01
"""By how much the shapes of a recording's picture and of the video may differ, as shares."""


def fitted_store(store: GazeStore, size: Size, video: str) -> GazeStore:
    """A recording in the pixels of a video: itself where they are its own, and scaled where the picture is alike.

    Args:
        store: the recording.
        size: (h, w) of the video.
        video: its name, for messages.

    Raises:
        InputError: it is of a picture of another shape.
    """
    if store.size == size:
        return store
    if abs(size[0] / store.size[0] / (size[1] / store.size[1]) - 1) > ALIKE:
        turned = (
            "; it is a video that its container turns, it seems: import its gaze with that video, and say the orientation"
            if store.size == (size[1], size[0])
            else ""
        )
        raise InputError(
            f"{store.path} is of a picture of {store.size[1]} x {store.size[0]} pixels, and {video} has {size[1]} x {size[0]}, which is another shape; expected gaze of this video{turned}"
        )
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
