"""Slow decoders in float64 loops, written from the formulas: ours by other means, and the peers' as their papers and
code describe them (mmpose at 759b39c). Maps are (h, w); results are (x, y), edge-origin: index coordinates plus 1/2."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, least_squares


def truncated_mean(mu, sigma, length):
    exponent = [-((i + 0.5 - mu) ** 2) / (2 * sigma**2) for i in range(length)]
    p = np.exp(np.array(exponent) - max(exponent))
    return float((p * (np.arange(length) + 0.5)).sum() / p.sum())


def moment_inverse(logits, sigma):
    """Bracketing instead of Newton."""
    p = np.exp(logits.astype(np.float64) - logits.max())
    p /= p.sum()
    h, w = p.shape
    x = sum(p[i, j] * (j + 0.5) for i in range(h) for j in range(w))
    y = sum(p[i, j] * (i + 0.5) for i in range(h) for j in range(w))
    reach = 2 + 4 * sigma
    return tuple(
        brentq(lambda mu, m=m, n=n: truncated_mean(mu, sigma, n) - m, -reach, n + reach, xtol=1e-12)
        for m, n in ((x, w), (y, h))
    )


def gaussian_fit(peak, start, sigma):
    """scipy's trust-region fit of amplitude and centre to the whole map."""
    h, w = peak.shape
    yy, xx = np.mgrid[:h, :w] + 0.5

    def residual(p):
        return (p[0] * np.exp(-((xx - p[1]) ** 2 + (yy - p[2]) ** 2) / (2 * sigma**2)) - peak).ravel()

    return tuple(least_squares(residual, [1.0, *start], xtol=1e-14, ftol=1e-14, gtol=1e-14).x[1:])


def argmax(values):
    y, x = divmod(int(np.argmax(values)), values.shape[1])
    return x, y


def quarter_offset(values):
    """mmpose ``refine_keypoints``: cell 1 is left out along each axis, and a point on the border along the other one is moved."""
    h, w = values.shape
    x, y = argmax(values)
    dx = values[y, x + 1] - values[y, x - 1] if 1 < x < w - 1 else 0.0
    dy = values[y + 1, x] - values[y - 1, x] if 1 < y < h - 1 else 0.0
    return x + 0.5 + 0.25 * np.sign(dx), y + 0.5 + 0.25 * np.sign(dy)


def blurred(values, kernel):
    """OpenCV's Gaussian kernel on a map framed by zeros, scaled back to the old maximum."""
    values = values.astype(np.float64)
    h, w = values.shape
    r, sigma = kernel // 2, 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    taps = np.exp(-(np.arange(-r, r + 1) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    padded = np.pad(values, r)
    out = np.zeros_like(values)
    for i in range(h):
        for j in range(w):
            out[i, j] = taps @ padded[i : i + kernel, j : j + kernel] @ taps
    return out * values.max() / out.max()


def dark(values, kernel=11):
    """mmpose ``refine_keypoints_dark``."""
    h, w = values.shape
    x, y = argmax(values)
    log = np.log(np.maximum(blurred(values, kernel), 1e-10))
    if not (1 < x < w - 2 and 1 < y < h - 2):
        return x + 0.5, y + 0.5
    gradient = 0.5 * np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]])
    xx = 0.25 * (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2])
    yy = 0.25 * (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x])
    xy = 0.25 * (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1])
    step = -np.linalg.solve([[xx, xy], [xy, yy]], gradient)
    return x + 0.5 + step[0], y + 0.5 + step[1]


def dark_udp(values, kernel=11):
    """mmpose ``refine_keypoints_dark_udp``: the border's cells are repeated."""
    x, y = argmax(values)
    log = np.pad(np.log(np.clip(blurred(values, kernel), 1e-3, 50)), 1, mode="edge")
    x1, y1 = x + 1, y + 1
    at = {(dx, dy): log[y1 + dy, x1 + dx] for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
    gradient = 0.5 * np.array([at[1, 0] - at[-1, 0], at[0, 1] - at[0, -1]])
    xx, yy = at[1, 0] - 2 * at[0, 0] + at[-1, 0], at[0, 1] - 2 * at[0, 0] + at[0, -1]
    xy = 0.5 * (at[1, 1] - at[1, 0] - at[0, 1] + 2 * at[0, 0] - at[-1, 0] - at[0, -1] + at[-1, -1])
    step = -np.linalg.solve(np.array([[xx, xy], [xy, yy]]), gradient)
    return x + 0.5 + step[0], y + 0.5 + step[1]


def centroid(values, window=5):
    """sleap-nn's integral regression."""
    h, w = values.shape
    x, y = argmax(values)
    r = window // 2
    total = sx = sy = 0.0
    for i in range(max(0, y - r), min(h, y + r + 1)):
        for j in range(max(0, x - r), min(w, x + r + 1)):
            v = max(0.0, float(values[i, j]))
            total, sx, sy = total + v, sx + v * (j + 0.5), sy + v * (i + 0.5)
    return sx / total, sy / total
