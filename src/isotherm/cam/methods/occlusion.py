"""Occlusion: how far the score falls when a window of the picture is blanked, for every position of the window.

Zeiler & Fergus, "Visualizing and understanding convolutional networks" (ECCV 2014), section 4.2. A pixel's value is
the mean over the windows that cover it. Assumes nothing about the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from isotherm.cam.fields import Axis
from isotherm.cam.methods.scoring import batch_on, blank_of, by_picture, check_batch, several
from isotherm.cam.trace import LayerMap, Trace
from isotherm.errors import MethodError
from isotherm.progress import Progress, tell


@dataclass(frozen=True, kw_only=True)
class Occlusion:
    """Mean fall of the score over the windows that cover a pixel, signed. Of a clip over windows of some frames, so
    that there is a map for each such part of it.

    Args:
        window: (h, w) of the window in input pixels, or one number for both; None: an eighth of the input, of clips a
            quarter.
        stride: (h, w) between windows, or one number; None: half of the window. At most the window, so that every
            pixel is covered.
        frames: of a clip: how many of the frames that the model is fed are blanked together; None: an eighth of them.
        batch: occluded pictures per forward pass; memory is bounded by it. None: 4 on a CPU, 32 elsewhere.
    """

    window: int | tuple[int, int] | None = None
    stride: int | tuple[int, int] | None = None
    frames: int | None = None
    batch: int | None = None

    name: ClassVar[str] = "Occlusion"
    signed: ClassVar[bool] = True
    explains: ClassVar[frozenset[str]] = frozenset({"pictures", "clips"})
    needs: ClassVar[frozenset[str]] = frozenset({"rerun"})

    def __post_init__(self) -> None:
        check_batch(self.batch)

    def __call__(self, trace: Trace) -> list[LayerMap]:
        rerun, blank = trace.need_rerun(), blank_of(trace)
        h, w = trace.inputs.tensor.shape[-2:]
        fed = trace.inputs.tensor.shape[1] if trace.inputs.timelines else None
        window, stride = self._extent(h, w, of_clips=fed is not None)
        together = self._together(fed)
        batch = batch_on(trace.inputs.tensor.device, self.batch)
        moments = range(1 if fed is None else -(-fed // together))
        spans = [
            (moment, slice(y, min(y + window[0], h)), slice(x, min(x + window[1], w)))
            for moment in moments
            for y in _starts(h, window[0], stride[0])
            for x in _starts(w, window[1], stride[1])
        ]
        dtype = torch.promote_types(trace.scores.dtype, torch.float32)
        total = torch.zeros(len(trace), len(moments), h, w, dtype=dtype, device=trace.scores.device)
        count = torch.zeros(len(moments), h, w, dtype=dtype, device=trace.scores.device)
        for span in spans:
            count[span] += 1
        groups = list(by_picture(trace))
        for number, (picture, target) in enumerate(groups):
            whole = several(rerun, picture[None], target, batch=batch)[0].to(total)
            for first in range(0, len(spans), batch):
                part = spans[first : first + batch]
                pictures = picture.expand(len(part), *picture.shape).clone()
                for row, (moment, *cells) in zip(pictures, part, strict=True):
                    seen = row if fed is None else row[moment * together : (moment + 1) * together]
                    seen[(..., *cells)] = blank
                fall = whole - several(rerun, pictures, target, batch=batch).to(total)
                for row, span in zip(fall, part, strict=True):
                    total[(target.to(total.device), *span)] += row[:, None, None]
                done = number * len(spans) + first + len(part)
                tell(Progress(step=done, total=len(groups) * len(spans), stage=self.name))
        values = total / count
        if fed is None:
            return [LayerMap("input", values[:, 0], trace.frame)]
        return [LayerMap("input", values, trace.frame, time=Axis(together / 2, float(together)))]

    def _extent(self, h: int, w: int, *, of_clips: bool = False) -> tuple[tuple[int, int], tuple[int, int]]:
        parts = 4 if of_clips else 8
        window = _pair(self.window) or (max(1, h // parts), max(1, w // parts))
        stride = _pair(self.stride) or (max(1, window[0] // 2), max(1, window[1] // 2))
        if not (1 <= window[0] <= h and 1 <= window[1] <= w):
            raise MethodError(
                f"window {window} does not fit the input of {(h, w)} pixels; give one from 1 to the input's size"
            )
        if not (1 <= stride[0] <= window[0] and 1 <= stride[1] <= window[1]):
            raise MethodError(
                f"stride {stride} is not between 1 and the window {window}: pixels would stay unexplained"
            )
        return window, stride

    def _together(self, fed: int | None) -> int:
        """How many frames are blanked together; 1 of pictures, which have no other."""
        if fed is None:
            if self.frames is not None:
                raise MethodError(
                    f"frames is {self.frames}: how many frames of a clip are blanked together, and this model sees one picture; leave it out"
                )
            return 1
        together = max(1, fed // 8) if self.frames is None else self.frames
        if not 1 <= together <= fed:
            raise MethodError(
                f"frames is {together}; expected how many of the {fed} frames that the model is fed are blanked together, from 1 to {fed}"
            )
        return together


def _pair(side: int | tuple[int, int] | None) -> tuple[int, int] | None:
    return (side, side) if isinstance(side, int) else side


def _starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin; the last may reach beyond the edge and is cut there."""
    return list(range(0, length - window + stride, stride))


occlusion = Occlusion()
