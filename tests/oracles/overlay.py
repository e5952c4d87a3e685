"""Overlay, slowly: float64 NumPy, one pixel at a time, written from the definition and from nothing in isotherm.draw."""

from __future__ import annotations

import math

import numpy as np


def value_at(values: np.ndarray, to_source: np.ndarray, x: float, y: float) -> float:
    """Bilinear value at a source position over the cells that have one; NaN outside, and in a cell that has none."""
    h, w = values.shape
    cx, cy = np.linalg.solve(to_source[:, :2], np.array([x, y]) - to_source[:, 2])
    if not (0 <= cx <= w and 0 <= cy <= h):
        return math.nan
    if math.isnan(values[min(int(cy), h - 1), min(int(cx), w - 1)]):
        return math.nan
    ix, iy = min(max(cx - 0.5, 0), w - 1), min(max(cy - 0.5, 0), h - 1)
    total = weight = 0.0
    for j in range(int(iy), min(int(iy) + 2, h)):
        for i in range(int(ix), min(int(ix) + 2, w)):
            part = max(0.0, 1 - abs(ix - i)) * max(0.0, 1 - abs(iy - j))
            if part and not math.isnan(values[j, i]):
                total, weight = total + part * values[j, i], weight + part
    return total / weight


def overlay(picture, values, to_source, low, high, stops, *, signed, opacity, by_value) -> np.ndarray:
    """(H, W, 3) float64 in [0, 1]; picture in [0, 1], stops the colours that a colour map stores."""
    out = np.array(picture, np.float64)
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            value = value_at(values, to_source, c + 0.5, r + 0.5)
            if math.isnan(value):
                continue
            unit = min(max((value - low) / (high - low), 0.0), 1.0)
            at = unit * (len(stops) - 1)
            k = min(int(at), len(stops) - 2)
            colour = stops[k] + (at - k) * (stops[k + 1] - stops[k])
            strength = abs(2 * unit - 1) if signed else unit
            alpha = opacity * (min(1.0, strength / 0.5) if by_value else 1.0)
            out[r, c] = (1 - alpha) * out[r, c] + alpha * colour
    return out
