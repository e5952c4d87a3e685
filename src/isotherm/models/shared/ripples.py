"""A plane through places that ripple about it, as those of filters do that are sampled at whole pixels.

A filter that antialiases weighs what lies around a pixel not exactly around its middle: by how much depends on how the
middle lies between the source's pixels, so the error repeats along the output as often as that does. Where it repeats a
few times only, a plane by least squares leans into it. So the waves of the ripple are found one after another, the
strongest first, and are fitted with the plane, their frequencies too: CLEAN (Högbom 1974, Astronomy and Astrophysics
Supplement 15, 417) with the frequencies let free (prewhitening: Breger et al. 1993, A&A 271, 482).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

WAVES = 8
"""At most. The strong ones are found first, and what weak ones add to the plane is little."""
STILL = 1e-5
"""Root mean square of what is left, in the unit of the values, at which no other wave is looked for."""
FARTHEST = 0.01
"""Periods a pixel by which a frequency moves in one step; the peak of the spectrum is nearer than that."""
FINELY = 4
"""Points of the spectrum for one of the transform of the places alone."""
STEPS = 3
"""In which the frequencies are improved after each wave."""


def plane_under_ripples(
    values: Float[np.ndarray, "h w"], points: Float[np.ndarray, "h w 3"], where: Bool[np.ndarray, "h w"]
) -> tuple[Float[np.ndarray, "3"], float]:
    """(the plane, root mean square of what neither it nor a wave explains).

    Args:
        values: of which those where it is asked are finite.
        points: (x, y, 1) of each on a regular grid; the grid's step is the unit of length here.
        where: which count.
    """
    grid = np.stack(np.nonzero(where), 1) - np.argwhere(where).mean(0)
    flat, wanted = points[where], values[where]
    frequencies = np.zeros((0, 2))
    left = np.zeros(where.shape)
    while True:
        for _ in range(STEPS if len(frequencies) else 0):
            frequencies = frequencies + _step(flat, grid, frequencies, wanted)
        columns = _columns(flat, grid, frequencies)
        fit = _solved(columns, wanted)
        left[where] = wanted - columns @ fit
        spread = float(np.sqrt(np.square(left[where]).mean()))
        if spread <= STILL or len(frequencies) == WAVES:
            return fit[:3], spread
        frequencies = np.concatenate([frequencies, _strongest(left)[None]])


def _columns(
    flat: Float[np.ndarray, "n 3"], grid: Float[np.ndarray, "n 2"], frequencies: Float[np.ndarray, "k 2"]
) -> Float[np.ndarray, "n columns"]:
    angles = 2 * np.pi * grid @ frequencies.T
    return np.concatenate([flat, np.cos(angles), np.sin(angles)], 1)


def _step(
    flat: Float[np.ndarray, "n 3"],
    grid: Float[np.ndarray, "n 2"],
    frequencies: Float[np.ndarray, "k 2"],
    wanted: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "k 2"]:
    """By what the frequencies become better: Gauss and Newton's step."""
    columns = _columns(flat, grid, frequencies)
    fit = _solved(columns, wanted)
    k = len(frequencies)
    cosines, sines = columns[:, 3 : 3 + k], columns[:, 3 + k :]
    slopes = 2 * np.pi * (sines * -fit[3 : 3 + k] + cosines * fit[3 + k :])
    moves = (slopes[:, :, None] * grid[:, None]).reshape(len(grid), -1)
    change = _solved(np.concatenate([columns, moves], 1), wanted - columns @ fit)[columns.shape[1] :]
    return np.clip(change.reshape(-1, 2), -FARTHEST, FARTHEST)


def _solved(columns: Float[np.ndarray, "n columns"], wanted: Float[np.ndarray, " n"]) -> Float[np.ndarray, " columns"]:
    """Least squares by the small matrix of products, its columns of one length."""
    lengths = np.sqrt(np.square(columns).sum(0)) + 1e-30
    products = (columns.T @ columns) / lengths / lengths[:, None]
    fit: Float[np.ndarray, " columns"] = (
        np.linalg.lstsq(products, columns.T @ wanted / lengths, rcond=1e-11)[0] / lengths
    )
    return fit


def _strongest(left: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "2"]:
    """(y, x) of the strongest frequency, periods a pixel."""
    h, w = (FINELY * n for n in left.shape)
    strength = np.abs(np.fft.rfft2(left, s=(h, w)))
    y, x = np.unravel_index(int(strength.argmax()), strength.shape)
    return np.array([np.fft.fftfreq(h)[y], np.fft.rfftfreq(w)[x]])
