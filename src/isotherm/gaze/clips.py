"""Gaze of clips, as a model takes it: of clips that were read of videos, and of generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from isotherm.data.anticipation.transforms import TransformedClip
from isotherm.data.egocentric.clips import EgocentricClips
from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.render import render_clip
from isotherm.errors import ShapeError
from isotherm.gaze.inputs import GazeInputs


def gaze_of_clips(clips: Sequence[TransformedClip]) -> GazeInputs:
    """The gaze of clips as one batch; a clip without gaze is MISSING at all frames.

    Where some clips have maps, the points of the others are drawn as maps.

    Args:
        clips: of one size and number of frames.

    Raises:
        ShapeError: none, or clips of several sizes.
    """
    sizes = {clip.frame.size for clip in clips}
    if len(sizes) != 1:
        raise ShapeError(f"there are {len(clips)} clips of the sizes {sorted(sizes)}; expected some, of one size")
    (size,) = sizes
    drawn = any(clip.gaze is not None and clip.gaze.maps is not None for clip in clips)
    return GazeInputs.joined([_one(clip, size, drawn=drawn) for clip in clips])


def _one(clip: TransformedClip, size: tuple[int, int], *, drawn: bool) -> GazeInputs:
    time_s = clip.before_s.float()[None]
    if clip.gaze is None:
        nothing = GazeInputs.missing(1, len(clip.before_s), size, time_s=time_s)
        return replace(nothing, maps=torch.zeros(1, len(clip.before_s), *size)) if drawn else nothing
    gaze: GazeClip = clip.gaze
    maps = render_clip(gaze, size) if drawn and gaze.maps is None else gaze.maps
    return GazeInputs(
        gaze.cells.float()[None],
        gaze.state[None],
        gaze.confidence.float()[None],
        time_s,
        size,
        None if maps is None else maps.float()[None],
    )


def gaze_of_egocentric(clips: EgocentricClips, rows: Int[Tensor, " b"] | None = None) -> GazeInputs:
    """The gaze of generated clips.

    Args:
        clips: as they were made.
        rows: which of them; None: all.

    Example:
        >>> from isotherm.data.egocentric.clips import make_many
        >>> gaze = gaze_of_egocentric(make_many(range(3)))
        >>> gaze.xy.shape, gaze.size, float(gaze.time_s.max())
        (torch.Size([3, 8, 2]), (32, 32), 0.0)
    """
    at = slice(None) if rows is None else rows.numpy()
    h, w = clips.video.shape[-2:]
    time_s = torch.from_numpy(clips.time_s[at])
    return GazeInputs(
        torch.from_numpy(clips.gaze[at]).float(),
        torch.from_numpy(clips.state[at]).long(),
        torch.from_numpy(clips.confidence[at]).float(),
        (time_s - time_s[:, -1:]).float(),
        (h, w),
    )
