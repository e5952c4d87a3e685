"""Slow loops in float64 for the losses against target maps, from the papers' formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np


def softmax(logits):
    grown = np.exp(logits - logits.max())
    return grown / grown.sum()


def kl(logits, target):
    return sum(t * math.log(t / q) for t, q in zip(target.ravel(), softmax(logits).ravel(), strict=True) if t > 0)


def js(logits, target):
    p, q = target.ravel(), softmax(logits).ravel()
    m = (p + q) / 2
    return sum(0.5 * a * math.log(a / c) for x in (p, q) for a, c in zip(x, m, strict=True) if a > 0)


def focal(logits, target, alpha, beta):
    """Zhou et al. 2019, eq. 1, without the division by the number of objects."""
    total = 0.0
    for v, y in zip(logits.ravel(), target.ravel(), strict=True):
        p = 1 / (1 + math.exp(-v))
        total -= (1 - p) ** alpha * math.log(p) if y == 1 else (1 - y) ** beta * p**alpha * math.log(1 - p)
    return total


def adaptive_wing(pred, target, alpha=2.1, omega=14.0, epsilon=1.0, theta=0.5, extra=10.0):
    """Wang et al. 2019, eq. 3 with the weighted map of eq. 6; a mean over cells."""
    h, w = pred.shape
    total = 0.0
    for i in range(h):
        for j in range(w):
            y, d = target[i, j], abs(target[i, j] - pred[i, j])
            a = (
                omega
                * (1 / (1 + (theta / epsilon) ** (alpha - y)))
                * (alpha - y)
                * ((theta / epsilon) ** (alpha - y - 1))
                / epsilon
            )
            c = theta * a - omega * math.log(1 + (theta / epsilon) ** (alpha - y))
            loss = omega * math.log(1 + (d / epsilon) ** (alpha - y)) if d < theta else a * d - c
            around = target[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].max()
            total += loss * (1 + extra * (around >= 0.2))
    return total / (h * w)


def best_order(cost):
    """The order with the least sum of cost[map, order[map]], by trying all."""
    k = len(cost)
    return min(itertools.permutations(range(k)), key=lambda order: sum(cost[i, order[i]] for i in range(k)))


def differences(function, x, index, step=1e-6):
    """Central difference of a function of an array."""
    up, down = np.array(x), np.array(x)
    up[index] += step
    down[index] -= step
    return (function(up) - function(down)) / (2 * step)
