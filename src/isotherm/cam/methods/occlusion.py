"""Occlusion: how far the score falls when a window of the picture is blanked, for every position of the window.

Zeiler & Fergus, "Visualizing and understanding convolutional networks" (ECCV 2014), section 4.2. A pixel's value is
the mean over the windows that cover it. Assumes nothing about the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from isotherm.cam.methods.scoring import batch_on, blank_of, by_picture, check_batch, several
from isotherm.cam.trace import LayerMap, Trace
from isotherm.errors import MethodError
from isotherm.progress import Progress, tell


@dataclass(frozen=True, kw_only=True)
class Occlusion:
    """Mean fall of the score over the windows that cover a pixel, signed.

    Args:
        window: (h, w) of the window in input pixels, or one number for both; None: an eighth of the input.
        stride: (h, w) between windows, or one number; None: half of the window. At most the window, so that every
            pixel is covered.
        batch: occluded pictures per forward pass; memory is bounded by it. None: 4 on a CPU, 32 elsewhere.
    """

    window: int | tuple[int, int] | None = None
    stride: int | tuple[int, int] | None = None
    batch: int | None = None

    name: ClassVar[str] = "Occlusion"
    signed: ClassVar[bool] = True
    explains: ClassVar[frozenset[str]] = frozenset({"pictures"})
    needs: ClassVar[frozenset[str]] = frozenset({"rerun"})

    def __post_init__(self) -> None:
        check_batch(self.batch)

    def __call__(self, trace: Trace) -> list[LayerMap]:
        rerun, blank = trace.need_rerun(), blank_of(trace)
        h, w = trace.inputs.tensor.shape[-2:]
        window, stride = self._extent(h, w)
        batch = batch_on(trace.inputs.tensor.device, self.batch)
        spans = [
            (y, min(y + window[0], h), x, min(x + window[1], w))
            for y in _starts(h, window[0], stride[0])
            for x in _starts(w, window[1], stride[1])
        ]
        dtype = torch.promote_types(trace.scores.dtype, torch.float32)
        total = torch.zeros(len(trace), h, w, dtype=dtype, device=trace.scores.device)
        count = torch.zeros(h, w, dtype=dtype, device=trace.scores.device)
        for y0, y1, x0, x1 in spans:
            count[y0:y1, x0:x1] += 1
        groups = list(by_picture(trace))
        for number, (picture, target) in enumerate(groups):
            whole = several(rerun, picture[None], target, batch=batch)[0].to(total)
            for first in range(0, len(spans), batch):
                part = spans[first : first + batch]
                pictures = picture.expand(len(part), -1, -1, -1).clone()
                for row, (y0, y1, x0, x1) in enumerate(part):
                    pictures[row, :, y0:y1, x0:x1] = blank
                fall = whole - several(rerun, pictures, target, batch=batch).to(total)
                for row, (y0, y1, x0, x1) in enumerate(part):
                    total[target.to(total.device), y0:y1, x0:x1] += fall[row][:, None, None]
                done = number * len(spans) + first + len(part)
                tell(Progress(step=done, total=len(groups) * len(spans), stage=self.name))
        return [LayerMap("input", total / count, trace.frame)]

    def _extent(self, h: int, w: int) -> tuple[tuple[int, int], tuple[int, int]]:
        window = _pair(self.window) or (max(1, h // 8), max(1, w // 8))
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


def _pair(side: int | tuple[int, int] | None) -> tuple[int, int] | None:
    return (side, side) if isinstance(side, int) else side


def _starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin; the last may reach beyond the edge and is cut there."""
    return list(range(0, length - window + stride, stride))


occlusion = Occlusion()
