"""Slow float64 NumPy references for the heads and the lift to 3-D: loops, nothing clever."""

from __future__ import annotations

import itertools
import math

import numpy as np


def convex_upsample(values, mask, ratio, kernel, scale, padding):
    """One picture: values (c, h, w), mask (kernel^2 ratio^2, h, w) -> (c, h ratio, w ratio)."""
    c, h, w = values.shape
    reach = kernel // 2
    out = np.zeros((c, h * ratio, w * ratio))
    for i, j, ry, rx in itertools.product(range(h), range(w), range(ratio), range(ratio)):
        weights, cells = [], []
        for ky, kx in itertools.product(range(kernel), range(kernel)):
            y, x = i + ky - reach, j + kx - reach
            inside = 0 <= y < h and 0 <= x < w
            if not inside and padding == "renorm":
                continue
            weights.append(math.exp(scale * mask[(ky * kernel + kx) * ratio**2 + ry * ratio + rx, i, j]))
            cells.append(values[:, y, x] if inside else np.zeros(c))
        out[:, i * ratio + ry, j * ratio + rx] = sum(a * b for a, b in zip(weights, cells, strict=True)) / sum(weights)
    return out


def bilinear(image, x, y):
    """The value at (x, y), edge-origin; beyond the outermost centres their value continues."""
    h, w = image.shape
    u, v = min(max(x - 0.5, 0), w - 1), min(max(y - 0.5, 0), h - 1)
    x0, y0 = min(int(u), max(w - 2, 0)), min(int(v), max(h - 2, 0))
    x1, y1 = min(x0 + 1, w - 1), min(y0 + 1, h - 1)
    a, b = u - x0, v - y0
    return (1 - b) * ((1 - a) * image[y0, x0] + a * image[y0, x1]) + b * ((1 - a) * image[y1, x0] + a * image[y1, x1])


def volume(log_maps, place, centres):
    """Per view and voxel the log-probability: place(view, xyz) gives (x, y) in cells, or None where the view shows nothing."""
    out = np.zeros((len(log_maps), *(len(c) for c in centres)))
    for view, image in enumerate(log_maps):
        for i, j, k in itertools.product(*(range(len(c)) for c in centres)):
            at = place(view, np.array([centres[0][i], centres[1][j], centres[2][k]]))
            out[view, i, j, k] = image.min() if at is None else bilinear(image, *at)
    return out


def posterior(log_volume, centres):
    """Mean and covariance of the product of the views' probabilities over the voxels."""
    p = np.exp(log_volume.sum(0) - log_volume.sum(0).max())
    p /= p.sum()
    mean, second = np.zeros(3), np.zeros((3, 3))
    for i, j, k in itertools.product(*(range(len(c)) for c in centres)):
        mean += p[i, j, k] * np.array([centres[0][i], centres[1][j], centres[2][k]])
    for i, j, k in itertools.product(*(range(len(c)) for c in centres)):
        off = np.array([centres[0][i], centres[1][j], centres[2][k]]) - mean
        second += p[i, j, k] * np.outer(off, off)
    return mean, second
