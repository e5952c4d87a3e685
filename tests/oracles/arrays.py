"""Slow loops in float64 for what the array functions compute."""

from __future__ import annotations

import math

import numpy as np


def gaussian_map(x, y, sx, sy, h, w, *, kind="peak"):
    """One Gaussian over the cells, cell by cell."""
    g = np.array(
        [
            [math.exp(-((j + 0.5 - x) ** 2) / (2 * sx**2) - (i + 0.5 - y) ** 2 / (2 * sy**2)) for j in range(w)]
            for i in range(h)
        ]
    )
    return g if kind == "peak" else g / g.sum()


def mse(pred, points, sigma, state):
    """Mean over the cells of maps that are not unlabelled (0); absent ones (4) against 0."""
    total, cells = 0.0, 0
    for index in np.ndindex(*state.shape):
        if state[index] == 0:
            continue
        h, w = pred[index].shape
        target = np.zeros((h, w)) if state[index] == 4 else gaussian_map(*points[index], sigma, sigma, h, w)
        for i in range(h):
            for j in range(w):
                total += (pred[index][i, j] - target[i, j]) ** 2
                cells += 1
    return total / cells if cells else 0.0


def cross_entropy(logits, points, sigma, state):
    """Mean over the maps that are neither unlabelled (0) nor absent (4)."""
    losses = []
    for index in np.ndindex(*state.shape):
        if state[index] in (0, 4):
            continue
        h, w = logits[index].shape
        target = gaussian_map(*points[index], sigma, sigma, h, w, kind="probability")
        total = sum(math.exp(v) for v in logits[index].ravel())
        losses.append(
            -sum(target[i, j] * math.log(math.exp(logits[index][i, j]) / total) for i in range(h) for j in range(w))
        )
    return sum(losses) / len(losses) if losses else 0.0


def inverse_mean(mean, sigma, length):
    """The centre whose truncated Gaussian has this mean, by bisection."""
    low, high = -50.0, length + 50.0
    for _ in range(200):
        mid = (low + high) / 2
        exponents = [-((i + 0.5 - mid) ** 2) / (2 * sigma**2) for i in range(length)]
        weights = [math.exp(e - max(exponents)) for e in exponents]
        here = sum((i + 0.5) * p for i, p in enumerate(weights)) / sum(weights)
        low, high = (mid, high) if here < mean else (low, mid)
    return (low + high) / 2


def least_squares(peak, start, sigma):
    """(x, y) of the Gaussian with the least squared error, by SciPy over every cell; sigma None: it and a background are fitted."""
    from scipy.optimize import least_squares as solve

    h, w = peak.shape

    def residual(q):
        width, level = (sigma, 0.0) if sigma is not None else q[3:]
        return (level + q[0] * gaussian_map(q[1], q[2], width, width, h, w) - peak).ravel()

    return solve(residual, [1.0, *start] + ([1.5, 0.0] if sigma is None else []), xtol=1e-12, ftol=1e-14, gtol=1e-12).x[
        1:3
    ]
