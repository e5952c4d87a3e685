"""Slow float64 references for targets, cell by cell, and the published formulas of peers that they are compared with."""

from __future__ import annotations

import itertools
import math

import numpy as np


def gaussian(x, y, sx, sy, h, w, *, kind="peak", cut=None):
    """One Gaussian over the cells; edge-origin."""
    g = np.zeros((h, w))
    nearest = min(
        ((j + 0.5 - x) / sx) ** 2 + ((i + 0.5 - y) / sy) ** 2 for i, j in itertools.product(range(h), range(w))
    )
    for i, j in itertools.product(range(h), range(w)):
        d = ((j + 0.5 - x) / sx) ** 2 + ((i + 0.5 - y) / sy) ** 2
        if cut is None or d <= max(cut**2, nearest) + 1e-12:
            g[i, j] = math.exp(-d / 2)
    return g if kind == "peak" else g / g.sum()


def mixture(points, sigma, weights, h, w):
    """Sum of w g / sum of w."""
    total = np.zeros((h, w))
    for (x, y), weight in zip(points, weights, strict=True):
        total += weight * gaussian(x, y, sigma, sigma, h, w, kind="probability")
    return total / sum(weights)


def largest(points, sigma, weights, h, w):
    """The largest of w / max w times each peak, cell by cell."""
    maps = [
        weight / max(weights) * gaussian(x, y, sigma, sigma, h, w)
        for (x, y), weight in zip(points, weights, strict=True)
    ]
    return np.max(maps, axis=0)


def overlap(a, b):
    """Intersection over union."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def radius(w, h, iou):
    """The largest r at which all moves of both corners by r along both axes keep the overlap, by bisection."""
    low, high = 0.0, min(w, h) / 2
    for _ in range(80):
        r = (low + high) / 2
        moved = [(r, r, w + r, h + r), (r, r, w - r, h - r), (-r, -r, w + r, h + r)]
        low, high = (r, high) if all(overlap((0, 0, w, h), box) >= iou for box in moved) else (low, r)
    return low


def coverage(mask, matrix, h, w, *, steps):
    """The mean of a mask (H, W) over each cell, at steps x steps places of it; matrix: cells -> pixels."""
    out = np.zeros((h, w))
    for i, j, a, b in itertools.product(range(h), range(w), range(steps), range(steps)):
        x, y = matrix @ np.array([j + (b + 0.5) / steps, i + (a + 0.5) / steps, 1.0])
        if 0 <= x < mask.shape[1] and 0 <= y < mask.shape[0]:
            out[i, j] += mask[int(y), int(x)] / steps**2
    return out


# --- peers: formulas as published, written anew; index coordinates, the centre of cell i is i ------------


def msra(keypoint, scale, sigma, h, w):
    """mmpose's generate_gaussian_heatmaps: the centre rounded to a cell, cells within 3 sigma along both axes."""
    mu = [int(k / s + 0.5) for k, s in zip(keypoint, scale, strict=True)]
    g = np.zeros((h, w))
    for i, j in itertools.product(range(h), range(w)):
        if abs(j - mu[0]) <= 3 * sigma and abs(i - mu[1]) <= 3 * sigma:
            g[i, j] = math.exp(-((j - mu[0]) ** 2 + (i - mu[1]) ** 2) / (2 * sigma**2))
    return g, mu


def udp(keypoint, source, sigma, h, w):
    """mmpose's generate_udp_gaussian_heatmaps: scaled by (w - 1) / (W - 1), not rounded, cells within 3 sigma of the rounded one."""
    mu = keypoint[0] * (w - 1) / (source[1] - 1), keypoint[1] * (h - 1) / (source[0] - 1)
    near = int(mu[0] + 0.5), int(mu[1] + 0.5)
    g = np.zeros((h, w))
    for i, j in itertools.product(range(h), range(w)):
        if abs(j - near[0]) <= 3 * sigma and abs(i - near[1]) <= 3 * sigma:
            g[i, j] = math.exp(-((j - mu[0]) ** 2 + (i - mu[1]) ** 2) / (2 * sigma**2))
    return g, mu


def render_gaussian2d(mean, std, h, w):
    """kornia's render_gaussian2d in pixel coordinates: one normalised vector per axis, their outer product."""
    gx = np.exp(-0.5 * ((np.arange(w) - mean[0]) / std[0]) ** 2)
    gy = np.exp(-0.5 * ((np.arange(h) - mean[1]) / std[1]) ** 2)
    return np.outer(gy / gy.sum(), gx / gx.sum())


def draw_umich_gaussian(heatmap, cell, reach):
    """CenterNet's: the larger of the map and a Gaussian of sigma (2 reach + 1) / 6 in a window of +-reach cells; in place."""
    sigma = (2 * reach + 1) / 6
    for i, j in itertools.product(range(heatmap.shape[0]), range(heatmap.shape[1])):
        if abs(i - cell[1]) <= reach and abs(j - cell[0]) <= reach:
            heatmap[i, j] = max(heatmap[i, j], math.exp(-((i - cell[1]) ** 2 + (j - cell[0]) ** 2) / (2 * sigma**2)))
    return heatmap


def cornernet_radius(w, h, iou):
    """gaussian_radius as in CenterNet, after CornerNet: every root over 2, every square root added."""
    equations = [
        (1, h + w, w * h * (1 - iou) / (1 + iou)),
        (4, 2 * (h + w), (1 - iou) * w * h),
        (4 * iou, -2 * iou * (h + w), (iou - 1) * w * h),
    ]
    return min((b + math.sqrt(b * b - 4 * a * c)) / 2 for a, b, c in equations)
