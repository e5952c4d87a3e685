"""A map as the viewer takes it: what it is, where it lies and what it is scaled by, beside its values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from isotherm.draw.colour import Scale, scale_of
from isotherm.draw.describe import box_of, silence_of
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import to_frame

MOST_CELLS = 1 << 20
"""Larger maps are made smaller to about this many cells, and the page says so."""


def page_map(heatmap: Heatmap, scale: Scale | None = None) -> tuple[dict[str, Any], Float[Tensor, "h w"]]:
    """What the viewer must know of a map, as JSON can hold it, and its values.

    Args:
        heatmap: a single map.
        scale: that it shares with others; by default its own.
    """
    scale = scale or scale_of(heatmap)
    values, frame = heatmap.values.detach().cpu().float(), heatmap.frame
    if values.numel() > MOST_CELLS:
        factor = (MOST_CELLS / values.numel()) ** 0.5
        smaller = frame.resized((max(1, int(frame.size[0] * factor)), max(1, int(frame.size[1] * factor))))
        values, frame = to_frame(values, frame, smaller, outside="edge"), smaller
    finite = values[torch.isfinite(values)]
    facts = {
        "label": heatmap.label,
        "kind": heatmap.kind,
        "signed": heatmap.signed,
        "silent": silence_of(heatmap),
        "low": scale.low,
        "high": scale.high,
        "beyond": scale.beyond,
        "lowest": float(finite.min()) if finite.numel() else 0.0,
        "h": frame.size[0],
        "w": frame.size[1],
        "m": frame.from_source.flatten().tolist(),
        "limits": frame.limits,
        "box": box_of(heatmap),
    }
    return facts, values


def in_halves(values: Float[Tensor, "h w"]) -> tuple[float, Shaped[np.ndarray, "h w"]]:
    """The largest magnitude of a map, and its values in units of it as little-endian float16, infinities and all."""
    finite = values[torch.isfinite(values)]
    unit = float(finite.abs().max()) if finite.numel() else 0.0
    unit = unit or 1.0
    return unit, (values.double() / unit).numpy().astype("<f2")
