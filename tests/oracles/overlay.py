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


def overlay(
    picture, values, to_source, low, high, stops, *, signed, opacity, by_value, grey=False, unseen=(0.0, 0.0)
) -> np.ndarray:
    """(H, W, 3) float64 in [0, 1]; picture in [0, 1], stops the colours that a colour map stores.

    stops are of both directions where low < 0 (0 in their middle). unseen: opacity of mid-grey, and greying, outside of the map.
    """
    out = np.array(picture, np.float64)
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            value = value_at(values, to_source, c + 0.5, r + 0.5)
            if math.isnan(value):
                out[r, c] = mixed(out[r, c], np.full(3, 0.5), *unseen)
                continue
            value = min(max(value, low), high)
            strength = value / max(abs(low), abs(high)) if signed else (value - low) / (high - low)
            at = ((strength + 1) / 2 if low < 0 and signed else strength) * (len(stops) - 1)
            k = min(int(at), len(stops) - 2)
            colour = stops[k] + (at - k) * (stops[k + 1] - stops[k])
            size = abs(strength)
            alpha = opacity * (min(1.0, max(0.0, (size - 0.1) / 0.35)) if by_value else 1.0)
            faded = (min(1.0, max(0.0, (size - 0.1) / 0.15)) if by_value else 1.0) if grey else 0.0
            out[r, c] = mixed(out[r, c], colour, alpha, faded)
    return out


def mixed(pixel, colour, alpha, grey):
    luma = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
    return (1 - alpha) * ((1 - grey) * pixel + grey * luma) + alpha * colour
