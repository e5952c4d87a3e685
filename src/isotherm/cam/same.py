"""Methods whose maps are one and the same, as Grad-CAM's and HiResCAM's are in front of global pooling: said once, and
drawn once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from isotherm.heatmap import Heatmap

AGREE = 1e-5
"""Of a map's largest value, by how much values of the same map may differ."""


def told_apart(maps: Sequence[Heatmap], columns: int) -> tuple[tuple[Heatmap, ...], tuple[str, ...]]:
    """The maps of one picture, and a note for each method whose maps of all targets are those of a method before it.

    Those have ``meta["same_as"]``, the other's name. Maps without evidence are alike in nothing but that.

    Args:
        maps: targets in order, each target's columns side by side.
        columns: of every method, or of every method at every layer.
    """
    if columns < 2 or len(maps) % columns:
        return tuple(maps), ()
    by_column = [list(maps[i::columns]) for i in range(columns)]
    at_layers = len({str(column[0].meta.get("method")) for column in by_column if column}) < columns
    same: dict[int, int] = {}
    for later in range(1, columns):
        first = next((i for i in range(later) if i not in same and _alike(by_column[i], by_column[later])), None)
        if first is not None:
            same[later] = first
    if not same:
        return tuple(maps), ()
    names = [_name(column[0], at_layers) for column in by_column]
    notes = tuple(
        f"{names[later]} gives the same map as {names[first]} here, which is drawn once"
        for later, first in same.items()
    )
    marked = (
        m.with_(meta={**m.meta, "same_as": names[same[i % columns]]}) if i % columns in same else m
        for i, m in enumerate(maps)
    )
    return tuple(marked), notes


def is_first(heatmap: Heatmap) -> bool:
    """Whether a map is to be drawn: False where it is the same as one before it."""
    return "same_as" not in heatmap.meta


def _alike(first: Sequence[Heatmap], later: Sequence[Heatmap]) -> bool:
    return any(m.has_evidence for m in first) and all(map(_same, first, later))


def _same(first: Heatmap, later: Heatmap) -> bool:
    if first.values.shape != later.values.shape or first.signed != later.signed or first.kind != later.kind:
        return False
    largest = float(first.values.nan_to_num(0.0).abs().max())
    return first.frame.allclose(later.frame) and torch.allclose(
        first.values, later.values, rtol=0.0, atol=AGREE * largest, equal_nan=True
    )


def _name(heatmap: Heatmap, at_layer: bool) -> str:
    return f"{heatmap.meta['method']} at {heatmap.meta['layer']}" if at_layer else str(heatmap.meta["method"])
