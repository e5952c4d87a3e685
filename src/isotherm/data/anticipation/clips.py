"""The frames and the gaze of a clip, on one clock, and nothing that is later than its end."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from isotherm.data.anticipation.anchors import PlannedClip
from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.store import GazeStore
from isotherm.data.video_seek import frames_near
from isotherm.errors import OptionError
from isotherm.frame import Frame, Size

SHORTEST_S = 1e-6
"""A window of gaze at the clip's very end: a sample of that moment speaks, none behind it."""


@dataclass(frozen=True, eq=False)
class VideoClip:
    """What was read of a video for a clip.

    Args:
        video: (t, 3, h, w) RGB.
        frame: of these pictures over those of the video, one for all.
        time_s: (t,) when the frames are shown, on the video's clock; not the moments that were asked for, which lie up
            to half a frame away.
        end_s: the clip's end.
        gaze: at these times; None where there is no store of it.
    """

    video: UInt8[Tensor, "t 3 h w"]
    frame: Frame
    time_s: Float64[Tensor, " t"]
    end_s: float
    gaze: GazeClip | None

    @property
    def before_s(self) -> Float64[Tensor, " t"]:
        """(t,) when the frames are shown, counted from the clip's end: at most 0."""
        return (self.time_s - self.end_s).clamp(max=0.0)


def read_clip(
    source: str | os.PathLike[str],
    planned: PlannedClip,
    *,
    gaze: GazeStore | None = None,
    short_side: int | None = None,
) -> VideoClip:
    """Read a planned clip: of each moment the nearest frame that is not later than the clip's end, and the gaze at it.

    Args:
        source: the video file.
        planned: the moments.
        gaze: of the same video, on the same clock.
        short_side: pixels that larger frames are shrunk to while they are decoded; None: as they are.

    Raises:
        InputError: the video cannot be read.
        OptionError: a short side below 1.
    """
    if short_side is not None and short_side < 1:
        raise OptionError(f"short_side is {short_side}; expected at least 1 pixel, or None")
    frames = frames_near(source, planned.time_s.tolist(), until_s=planned.end_s)
    size = frames[0].size
    smaller = shrunk(size, short_side)
    # a frame that is repeated is converted once
    arrays = {f.index: f.array(None if smaller == size else smaller) for f in {f.index: f for f in frames}.values()}
    video = torch.from_numpy(np.stack([arrays[frame.index] for frame in frames])).permute(0, 3, 1, 2).contiguous()
    times = np.array([frame.time_s for frame in frames], np.float64)
    return VideoClip(
        video,
        Frame.resize(size, smaller),
        torch.from_numpy(times),
        planned.end_s,
        None if gaze is None else gaze_until(gaze, times, planned.end_s),
    )


def gaze_until(store: GazeStore, time_s: Float64[np.ndarray, " t"], end_s: float) -> GazeClip:
    """The gaze at some moments, of samples that are not later than a clip's end.

    A sample speaks for moments around it. Near the end that would let one speak that is behind it, so there the window
    is as wide as what is left.

    Args:
        store: of the video's gaze.
        time_s: moments, none later than the end.
        end_s: of the clip.
    """
    clip = store.clip(time_s)
    left = np.maximum(end_s - time_s, SHORTEST_S)
    for i in np.flatnonzero(left < store.window_s).tolist():
        one = store.clip(time_s[i : i + 1], window_s=float(left[i]))
        parts = {name: getattr(clip, name).clone() for name in ("xy", "state", "confidence")}
        for name, values in parts.items():
            values[i] = getattr(one, name)[0]
        maps = clip.maps
        if maps is not None and one.maps is not None:
            maps = maps.clone()
            maps[i] = one.maps[0]
        notes = tuple(dict.fromkeys((*clip.notes, *one.notes)))
        clip = replace(clip, **parts, maps=maps, notes=notes)
    return clip


def shrunk(size: Size, short_side: int | None) -> Size:
    """What a size becomes whose shorter side is at most so long.

    Args:
        size: (h, w) in pixels.
        short_side: in pixels; None: as it is.

    Example:
        >>> shrunk((240, 320), 60)
        (60, 80)
    """
    if short_side is None or min(size) <= short_side:
        return size
    return max(1, round(size[0] * short_side / min(size))), max(1, round(size[1] * short_side / min(size)))
