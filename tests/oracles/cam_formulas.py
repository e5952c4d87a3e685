"""Slow float64 NumPy references for the class-activation formulas, one loop nest per formula, and what peers compute.

Shapes: A (activation) and g (gradient) are (c, h, w) of one target; results are (h, w).
"""

from __future__ import annotations

import itertools

import numpy as np


def _cells(a):
    return itertools.product(range(a.shape[-2]), range(a.shape[-1]))


def weighted_sum(weights, A):
    out = np.zeros(A.shape[1:])
    for k in range(len(A)):
        for i, j in _cells(A):
            out[i, j] += weights[k] * A[k, i, j]
    return out


def gradcam(A, g):
    return weighted_sum([np.mean(g[k]) for k in range(len(A))], A)


def hirescam(A, g):
    out = np.zeros(A.shape[1:])
    for k in range(len(A)):
        for i, j in _cells(A):
            out[i, j] += g[k, i, j] * A[k, i, j]
    return out


def gradcampp(A, g, epsilon=1e-6):
    weights = []
    for k in range(len(A)):
        total = A[k].sum()
        w = 0.0
        for i, j in _cells(A):
            x = g[k, i, j]
            if x > 0:
                w += x * x**2 / (2 * x**2 + total * x**3 + epsilon)
        weights.append(w)
    return weighted_sum(weights, A)


def torchcam_gradcampp(A, g):
    """torch-cam 0.5.0: it divides a copy, so alpha stays g^2 and the weight is sum relu(g) g^2."""
    return weighted_sum([sum(max(g[k, i, j], 0) * g[k, i, j] ** 2 for i, j in _cells(A)) for k in range(len(A))], A)


def xgradcam(A, g):
    weights = []
    for k in range(len(A)):
        total = A[k].sum() + 1e-7
        weights.append(sum(g[k, i, j] * A[k, i, j] / total for i, j in _cells(A)))
    return weighted_sum(weights, A)


def layercam(A, g):
    return sum(np.maximum(g[k], 0) * A[k] for k in range(len(A)))


def elementwisecam(A, g):
    return sum(np.maximum(g[k] * A[k], 0) for k in range(len(A)))


def first_component(P):
    """Projection of the centred cells on the first right singular vector; sign: positive correlation with the mean."""
    c, h, w = P.shape
    X = P.reshape(c, -1).T.astype(np.float64)
    X = X - X.mean(0)
    _, _, vt = np.linalg.svd(X, full_matrices=False)
    p = X @ vt[0]
    if np.dot(p, X.mean(1)) < 0:
        p = -p
    return p.reshape(h, w)


def eigencam(A, g=None):
    return first_component(A)


def eigengradcam(A, g):
    return first_component(A * g)


def kpcacam(A, g=None, kernel="sigmoid", gamma=None):
    c, h, w = A.shape
    X = A.reshape(c, -1).T.astype(np.float64)
    X = X - X.mean(0)
    n = len(X)
    gamma = 1 / c if gamma is None else gamma
    K = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            if kernel == "sigmoid":
                K[i, j] = np.tanh(gamma * X[i] @ X[j] + 1)
            elif kernel == "rbf":
                K[i, j] = np.exp(-gamma * np.sum((X[i] - X[j]) ** 2))
            else:
                K[i, j] = X[i] @ X[j]
    one = np.full((n, n), 1 / n)
    K = K - one @ K - K @ one + one @ K @ one
    values, vectors = np.linalg.eigh(K)
    p = vectors[:, -1] * np.sqrt(max(values[-1], 0))
    if np.dot(p, X.mean(1)) < 0:
        p = -p
    return p.reshape(h, w)


def scorecam(A, score_of_mask, upsample):
    """``score_of_mask(mask (H, W))`` is the model on the picture times the mask; ``upsample`` (h, w) -> (H, W)."""
    scores = []
    for k in range(len(A)):
        m = upsample(A[k])
        low, high = m.min(), m.max()
        scores.append(score_of_mask((m - low) / (high - low) if high > low else np.zeros_like(m)))
    e = np.exp(np.array(scores) - max(scores))
    return weighted_sum(e / e.sum(), A)


def ablationcam(A, score, score_without):
    """``score_without(k)`` is the model's score with channel k set to 0."""
    return weighted_sum([(score - score_without(k)) / abs(score) for k in range(len(A))], A)


def shapleycam(A, g, hessian):
    """``hessian`` (n, n) over the flattened activation."""
    corrected = g.reshape(-1) - 0.5 * hessian @ A.reshape(-1)
    return gradcam(A, corrected.reshape(A.shape))


def occlusion(x, score, window, stride, blank):
    """``score(x (c, H, W))``; mean fall over the windows that cover a pixel."""
    _, H, W = x.shape
    whole = score(x)
    total, count = np.zeros((H, W)), np.zeros((H, W))
    y = 0
    while True:
        x0 = 0
        while True:
            changed = x.copy()
            changed[:, y : y + window[0], x0 : x0 + window[1]] = blank[:, None, None]
            total[y : y + window[0], x0 : x0 + window[1]] += whole - score(changed)
            count[y : y + window[0], x0 : x0 + window[1]] += 1
            if x0 + window[1] >= W:
                break
            x0 += stride[1]
        if y + window[0] >= H:
            break
        y += stride[0]
    return total / count


def rise(x, score, masks, keep, blank):
    """Eq. 6 of the paper; ``masks`` (n, H, W)."""
    out = np.zeros(masks.shape[1:])
    for m in masks:
        out += score(x * m + blank[:, None, None] * (1 - m)) * m
    return out / (len(masks) * keep)


def rise_centred(x, score, masks, blank):
    scores = np.array([score(x * m + blank[:, None, None] * (1 - m)) for m in masks])
    return np.tensordot(scores, masks, 1) / masks.sum(0) - scores.mean()


def integrated_gradients(x, gradient, blank, steps):
    """Riemann sum with midpoints."""
    way = x - blank[:, None, None]
    out = np.zeros(x.shape)
    for s in range(steps):
        out += gradient(blank[:, None, None] + (s + 0.5) / steps * way)
    return (way * out / steps).sum(0)


def rollout(attention, heads="mean", residual=0.5, discard=0.0):
    """``attention``: list of (heads, n, n). Returns (n, n), query by key."""
    flow = None
    for p in attention:
        n = p.shape[-1]
        a = {"mean": np.mean, "max": np.max, "min": np.min}[heads](p, axis=0).copy()
        lowest = np.argsort(a, axis=None, kind="stable")[: int(n * n * discard)]
        a.reshape(-1)[lowest] = 0
        a = (1 - residual) * a + residual * np.eye(n)
        a = a / a.sum(1, keepdims=True)
        flow = a if flow is None else a @ flow
    return flow


def legrad(gradients):
    """``gradients``: list of (heads, n, n). Returns (n,), one value per key."""
    out = 0
    for g in gradients:
        h, n, _ = g.shape
        keys = np.zeros(n)
        for head in range(h):
            for query in range(n):
                for key in range(n):
                    keys[key] += max(g[head, query, key], 0) / (h * n)
        out = out + keys / len(gradients)
    return out


def stretched(m):
    return np.zeros_like(m) if m.max() == m.min() else (m - m.min()) / (m.max() - m.min())


def bilinear(m, size):
    """Half-pixel bilinear, edges continued."""
    out = np.zeros(size)
    h, w = m.shape
    for i, j in itertools.product(range(size[0]), range(size[1])):
        y = min(max((i + 0.5) * h / size[0] - 0.5, 0), h - 1)
        x = min(max((j + 0.5) * w / size[1] - 0.5, 0), w - 1)
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
        fy, fx = y - y0, x - x0
        out[i, j] = (1 - fy) * ((1 - fx) * m[y0, x0] + fx * m[y0, x1]) + fy * ((1 - fx) * m[y1, x0] + fx * m[y1, x1])
    return out


def fullgrad(x, input_gradient, biases):
    """Eq. 5; ``biases``: list of (bias (c,), gradient (c, h, w))."""
    size = x.shape[1:]
    out = sum(stretched(np.abs(x[k] * input_gradient[k])) for k in range(len(x)))
    for bias, g in biases:
        for k in range(len(bias)):
            out = out + bilinear(stretched(np.abs(bias[k] * g[k])), size)
    return out


def pgc_display(cam, size):
    """What pytorch-grad-cam 1.5.7 makes of a raw map of one layer: ReLU, stretch, enlarge, stretch again."""
    cam = np.maximum(np.asarray(cam, np.float64), 0)
    cam = cam - cam.min()
    cam = cam / (1e-7 + cam.max())
    cam = bilinear(cam, size)
    cam = cam - cam.min()
    return cam / (1e-7 + cam.max())
