"""Slow and plain NumPy versions of the faithfulness figures: loops over pixels, nothing shared with the package."""

from __future__ import annotations

import numpy as np


def imputed(picture, removed):
    """ROAD's linear imputation by one dense solve; picture (c, h, w), removed (h, w) bool."""
    c, h, w = picture.shape
    places = [(y, x) for y in range(h) for x in range(w) if removed[y, x]]
    number = {p: i for i, p in enumerate(places)}
    a, b = np.zeros((len(places), len(places))), np.zeros((len(places), c))
    for (y, x), i in number.items():
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                v, u = y + dy, x + dx
                if (dy, dx) == (0, 0) or not (0 <= v < h and 0 <= u < w):
                    continue
                weight = 1 / 12 if dy and dx else 1 / 6
                a[i, i] += weight
                if (v, u) in number:
                    a[i, number[v, u]] -= weight
                else:
                    b[i] += weight * picture[:, v, u]
    out = picture.astype(np.float64).copy()
    if places:
        solution = np.linalg.solve(a, b)
        for (y, x), i in number.items():
            out[:, y, x] = solution[i]
    return out


def curve(values, picture, fill, score, steps, insert=False):
    """Scores along deletion or insertion of a map without ties; values (h, w), picture and fill (c, h, w)."""
    order = sorted(np.ndindex(*values.shape), key=lambda p: -values[p])
    scores = []
    for step in range(steps + 1):
        now = (fill if insert else picture).copy()
        for y, x in order[: int(np.floor(step * len(order) / steps + 0.5))]:
            now[:, y, x] = (picture if insert else fill)[:, y, x]
        scores.append(score(now))
    return np.array(scores)


def area(scores, fractions):
    """Trapezoids, one by one."""
    return sum((fractions[i + 1] - fractions[i]) * (scores[i] + scores[i + 1]) / 2 for i in range(len(scores) - 1))


def ranks(values):
    """Mean rank of every value, from 1."""
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


def ssim(a, b, side=11, sigma=1.5):
    """Structural similarity of two maps in [0, 1], window by window."""
    x = np.arange(side) - side // 2
    window = np.exp(-(x[:, None] ** 2 + x[None] ** 2) / (2 * sigma**2))
    window /= window.sum()
    values = []
    for y in range(a.shape[0] - side + 1):
        for i in range(a.shape[1] - side + 1):
            p, q = a[y : y + side, i : i + side], b[y : y + side, i : i + side]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            vpq = (window * (p - mp) * (q - mq)).sum()
            values.append((2 * mp * mq + 1e-4) * (2 * vpq + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    return np.mean(values)


def near(region, y, x, tolerance, cell=(1.0, 1.0)):
    """Whether a pixel lies within a distance of a region, centre to centre; cell is a pixel's (h, w)."""
    return any(
        ((v - y) * cell[0]) ** 2 + ((u - x) * cell[1]) ** 2 <= tolerance**2 * (1 + 1e-6) for v, u in np.argwhere(region)
    )
