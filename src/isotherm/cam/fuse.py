"""Several layers' maps -> one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from isotherm.cam.trace import LayerMap
from isotherm.ops.names import known_word
from isotherm.ops.resample import to_frame

Fuse = Literal["mean", "max"]


def fuse(maps: Sequence[LayerMap], how: Fuse = "mean") -> LayerMap:
    """One map per target from several layers, on the finest layer's grid.

    Gradients grow and shrink by orders of magnitude from layer to layer, so each target's map of each layer is
    first divided by its largest absolute value (a layer that is 0 everywhere stays 0); signs are kept. ``max``
    takes the value that is largest in absolute terms. A single map is returned untouched, unscaled.

    Raises:
        OptionError: another word than mean and max.
    """
    known_word(how, get_args(Fuse), "fuse")
    if len(maps) == 1:
        return maps[0]
    finest = max(maps, key=lambda m: m.values.shape[-2] * m.values.shape[-1])
    scaled = []
    for m in maps:
        peak = m.values.abs().amax((1, 2), keepdim=True)
        values = m.values / torch.where(peak > 0, peak, torch.ones_like(peak))
        scaled.append(
            values if m.frame.allclose(finest.frame) else to_frame(values, m.frame, finest.frame, outside="edge")
        )
    stack = torch.stack(scaled)
    if how == "mean":
        values = stack.mean(0)
    else:
        values = stack.gather(0, stack.abs().argmax(0, keepdim=True))[0]
    return LayerMap(" + ".join(m.name for m in maps), values, finest.frame)
