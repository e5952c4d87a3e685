"""What resampling by a known filter makes of a picture of waves: by it a place that was measured becomes exact.

A filter that is sampled at whole pixels does not weigh exactly around its middle: where it antialiases, single places
are off by hundredths of a pixel, in a ripple along the output, and a plane through them lies a little askew. So do the
waves' own bytes, which are rounded. Both are known once the filter is: the same filter is applied to the same waves,
and what is left between the two is the error of the map alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from isotherm.frame import Size

Rows = list[Float[np.ndarray, "3"]]
"""[y, x]: what gives the place in the source of a point (x, y, 1) of the output."""
Columns = Int[np.ndarray, " columns"]
Lines = Int[np.ndarray, " lines"]
ASKEW = 0.1
"""Source pixels by which a map that is measured may turn over the whole output and still lie along its axes."""


def _triangle(at: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(at))


def _cubic(at: np.ndarray) -> np.ndarray:
    x, a = np.abs(at), -0.5  # Keys's, as PIL and torch have it where they antialias
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


ROUNDS = 4
"""In which a filter improves the map; the third hardly changes it."""
EXACT = 1e-4
"""Source pixels of what is left at which no other filter need be tried."""
WHOLE = 1e-3
"""Source pixels by which a length may be off and count as a whole number of them."""
LOOKED_AT = 256
"""Pixels of the output along an axis."""
FILTERS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, bool]] = {
    "linear": (_triangle, 1.0, False),
    "linear, antialiased": (_triangle, 1.0, True),
    "cubic, antialiased": (_cubic, 2.0, True),
}
"""(values, which are 0 beyond, half width in pixels of the source, whether it widens where the picture shrinks)."""


def resampled(
    field: Complex[np.ndarray, "h w"], rows: Rows, columns: Columns, lines: Lines, name: str
) -> Complex[np.ndarray, "lines columns"] | None:
    """A field of the source at pixels of an output, by a filter; None where the filter cannot be had.

    Args:
        field: of the source.
        rows: the affine map.
        columns, lines: of the output's pixels.
        name: of :data:`FILTERS`; only the linear one turns.
    """
    (yx, yy, y0), (xx, xy, x0) = rows
    if yx == xy == 0:
        down = _weighed(field, yy * (lines + 0.5) + y0, abs(yy), name)
        return _weighed(down.T, xx * (columns + 0.5) + x0, abs(xx), name).T
    return _turned(field, rows, columns, lines) if name == "linear" else None


def refined(
    rows: Rows,
    waves: list[tuple[float, Complex[np.ndarray, "a b"], Complex[np.ndarray, "h w"]]],
    inner: Bool[np.ndarray, "a b"],
    step: int,
) -> tuple[Rows, float]:
    """(the map without what a filter's and the bytes' own unevenness adds to it, by the filter that explains best what
    came out; source pixels that this filter leaves unexplained, the root of the mean square).

    Args:
        rows: the map as it was measured.
        waves: (pixels of a period, what came out, what was put in), along y and x.
        inner: the pixels that count.
        step: of the output every so manieth pixel along each axis came out.
    """
    skip = max(1, -(-max(inner.shape) // LOOKED_AT))
    lines, columns = (np.arange(0, n, skip) for n in inner.shape)
    where = inner[::skip, ::skip]
    points = np.stack([*np.meshgrid(columns * step + 0.5, lines * step + 0.5), np.ones(where.shape)], -1)[where]
    if len(points) < 3 or np.linalg.matrix_rank(points) < 3:
        return rows, np.inf
    size = inner.shape[0] * step, inner.shape[1] * step

    def left_by(trial: Rows, name: str) -> list[np.ndarray] | None:
        parts = []
        for period, answer, field in waves:
            made = resampled(field, trial, columns * step, lines * step, name)
            if made is None:
                return None
            parts.append(np.angle((answer[::skip, ::skip] * made.conj())[where]) / (2 * np.pi) * period)
        return parts

    def improved(name: str, *, straight: bool) -> tuple[Rows, float]:
        trial = straightened(rows, size) if straight else rows
        best, least = rows, np.inf
        for _ in range(ROUNDS):
            left = left_by(trial, name)
            if left is None:
                break
            spread = float(np.hypot(*(np.sqrt(np.square(part).mean()) for part in left)))
            if spread < least:
                best, least = trial, spread
            if least < EXACT * 1e-2:
                break
            trial = [row + np.linalg.lstsq(points, part, rcond=None)[0] for row, part in zip(trial, left, strict=True)]
            trial = straightened(trial, size) if straight else trial
        return best, least

    best, least = rows, np.inf
    for name, straight in ((name, straight) for name in FILTERS for straight in (True, False)):
        made, left = improved(name, straight=straight)
        if left < least:
            best, least = made, left
        if least < EXACT:
            break
    if least < EXACT and not _whole(best, size):
        # shrunk by less than a tenth, a filter that antialiases weighs two pixels as interpolation beside it does
        made, left = improved("linear, antialiased", straight=True)
        if left < EXACT and _whole(made, size):
            return made, left
    return best, least


def _whole(rows: Rows, size: Size) -> bool:
    """Whether a straight map makes an output of a whole number of source pixels along each axis."""
    lengths = np.array([abs(rows[0][1]) * size[0], abs(rows[1][0]) * size[1]])
    return bool(rows[0][0] == rows[1][1] == 0 and np.all(np.abs(lengths - np.rint(lengths)) < WHOLE))


def straightened(rows: Rows, size: Size) -> Rows:
    """A map that hardly turns without that; others as they are.

    Args:
        rows: the map.
        size: (h, w) of the output, whose middle stays.
    """
    (yx, yy, y0), (xx, xy, x0) = rows
    h, w = size
    if max(abs(yx) * w, abs(xy) * h) > ASKEW:
        return rows
    return [np.array([0.0, yy, y0 + yx * w / 2]), np.array([xx, 0.0, x0 + xy * h / 2])]


def _weighed(
    field: Complex[np.ndarray, "length w"], centres: Float[np.ndarray, " n"], step: float, name: str
) -> Complex[np.ndarray, "n w"]:
    """Lines of a field, each the mean of those near a centre."""
    values, width, widens = FILTERS[name]
    scale = max(1.0, step) if widens else 1.0
    first = np.floor(centres - width * scale).astype(int)
    taps = [first + t for t in range(int(np.ceil(2 * width * scale)) + 2)]
    weights = [
        np.where((tap >= 0) & (tap < len(field)), values((tap + 0.5 - centres) / scale), 0.0)[:, None] for tap in taps
    ]
    total = sum(weights)
    made = sum(field[np.clip(tap, 0, len(field) - 1)] * weight for tap, weight in zip(taps, weights, strict=True))
    mean: Complex[np.ndarray, "n w"] = np.asarray(made / np.where(total == 0, 1.0, total))
    return mean


def _turned(
    field: Complex[np.ndarray, "h w"], rows: Rows, columns: Columns, lines: Lines
) -> Complex[np.ndarray, "lines columns"]:
    v, u = np.meshgrid(lines + 0.5, columns + 0.5, indexing="ij")
    y, x = (row[0] * u + row[1] * v + row[2] - 0.5 for row in rows)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    made = np.zeros(u.shape, np.complex128)
    for dy in (0, 1):
        for dx in (0, 1):
            inside = (top + dy >= 0) & (top + dy < field.shape[0]) & (left + dx >= 0) & (left + dx < field.shape[1])
            at = np.where(inside, top + dy, 0), np.where(inside, left + dx, 0)
            made += np.where(inside, field[at] * np.abs(1 - dy - (y - top)) * np.abs(1 - dx - (x - left)), 0.0)
    return made
