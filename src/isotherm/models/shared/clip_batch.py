"""From clips of any sizes and lengths to one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from isotherm.cam.clips import Clip
from isotherm.cam.view import Inputs
from isotherm.errors import InputError
from isotherm.frame import Frame

PreparedFrames = Callable[[Sequence[Any]], tuple[Tensor, Frame, Tensor]]
"""Frames of one size, (H, W, 3) uint8 each -> (t, c, h, w) normalised, the frame of them all, (c,) the blank value."""


def clip_batch(
    clips: Sequence[Clip], fed_frames: int, prepared: PreparedFrames, *, device: torch.device, dtype: torch.dtype
) -> Inputs:
    """Clips as a model is fed them: of each as many frames as the model is fed, evenly spread over all of it.

    Args:
        clips: of any sizes and lengths.
        fed_frames: how many frames of each.
        prepared: makes the input of the frames of one clip.
        device, dtype: of the model.

    Raises:
        InputError: there are none, or their inputs are of different sizes.
    """
    if not len(clips):
        raise InputError("there are no clips to prepare: the list is empty")
    timelines = tuple(clip.timeline(fed_frames) for clip in clips)
    made = [prepared([clip.frames[i] for i in timeline.fed]) for clip, timeline in zip(clips, timelines, strict=True)]
    sizes = sorted({tuple(tensor.shape[-2:]) for tensor, _, _ in made})
    if len(sizes) > 1:
        raise InputError(
            f"the inputs of these clips have different sizes {sizes}; explain clips of other sizes one at a time"
        )
    tensor = torch.stack([t for t, _, _ in made]).to(device=device, dtype=dtype)
    blank = made[0][2].to(device=device, dtype=dtype)
    return Inputs(tensor, Frame.stack([f for _, f, _ in made]), blank=blank, timelines=timelines)
