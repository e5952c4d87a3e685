"""Slow metrics of keypoints, point by point."""

from __future__ import annotations

import itertools
import math

import numpy as np

UNKNOWN = (0, 4)


def matched(predicted, truth, state, groups):
    """The order of one picture's predictions with the least summed distance over known points, by trying all."""
    n = len(truth)
    best, order = math.inf, None
    choices = [[(g, p) for p in itertools.permutations(g)] for g in groups]
    for chosen in itertools.product(*choices):
        candidate = list(range(n))
        for group, order_of in chosen:
            for true, pred in zip(group, order_of, strict=True):
                candidate[true] = pred
        cost = sum(np.hypot(*(predicted[candidate[i]] - truth[i])) for i in range(n) if state[i] not in UNKNOWN)
        if cost < best - 1e-12:
            best, order = cost, candidate
    return order


def errors(predicted, truth, state, groups):
    out = np.full(truth.shape[:2], np.nan)
    for k in range(len(truth)):
        order = matched(predicted[k], truth[k], state[k], groups)
        for i in range(truth.shape[1]):
            if state[k, i] not in UNKNOWN:
                out[k, i] = np.hypot(*(predicted[k, order[i]] - truth[k, i]))
    return out


def pck(errors, scale, thresholds):
    out = np.full((len(thresholds), errors.shape[1]), np.nan)
    for t, threshold in enumerate(thresholds):
        for i in range(errors.shape[1]):
            known = [errors[k, i] <= threshold * scale[k] for k in range(len(errors)) if not np.isnan(errors[k, i])]
            if known:
                out[t, i] = np.mean(known)
    return out


def oks(predicted, truth, state, area, sigmas):
    out = np.full(len(truth), np.nan)
    for k in range(len(truth)):
        each = [
            math.exp(-((predicted[k, i] - truth[k, i]) ** 2).sum() / (2 * area[k] * (2 * sigmas[i]) ** 2))
            for i in range(truth.shape[1])
            if state[k, i] not in UNKNOWN
        ]
        if each:
            out[k] = np.mean(each)
    return out
