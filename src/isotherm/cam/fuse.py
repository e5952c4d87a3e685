"""Several layers' maps -> one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.receptive import Axis
from isotherm.cam.trace import LayerMap
from isotherm.ops.names import known_word
from isotherm.ops.resample import interpolation_matrix, to_frame

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
    finest = max(maps, key=lambda m: m.values.shape[1:].numel())
    scaled = []
    for m in maps:
        peak = m.values.abs().amax(tuple(range(1, m.values.ndim)), keepdim=True)
        values = m.values / torch.where(peak > 0, peak, torch.ones_like(peak))
        if not m.frame.allclose(finest.frame):
            values = to_frame(values, m.frame, finest.frame, outside="edge")
        scaled.append(at_moments(values, m.time, finest.time, finest.values.shape[1]))
    stack = torch.stack(scaled)
    if how == "mean":
        values = stack.mean(0)
    else:
        values = stack.gather(0, stack.abs().argmax(0, keepdim=True))[0]
    return LayerMap(" + ".join(m.name for m in maps), values, finest.frame, time=finest.time)


def at_moments(
    values: Float[Tensor, "t *m h w"], time: Axis | None, other: Axis | None, count: int
) -> Float[Tensor, "t *k h w"]:
    """A clip's maps, which lie along one time axis, at ``count`` places of another, linearly between them; pictures' as they are."""
    if time is None or other is None or (time == other and values.shape[1] == count):
        return values
    # in units of the maps' own moments, whose middles lie at 0.5, 1.5, ...
    at = (other.first + other.stride * torch.arange(count, dtype=torch.float64) - time.first) / time.stride + 0.5
    weights = interpolation_matrix(at, values.shape[1], outside="edge").to(values)
    return torch.einsum("km,tmhw->tkhw", weights, values)
