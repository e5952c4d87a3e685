"""Waves that a transform normalises by each picture's own values, brought back to waves of one middle and one swing.

Where a picture is normalised by its own mean and deviation, by its own least and greatest value or by its own
quantiles, each of the pictures of waves gets an offset and a factor of its own. The cosine and the sine that come out
of the pixels then lie on an ellipse along the axes instead of on a circle around 0; the ellipse through them gives both
back (Farrell and Player 1992, Measurement Science and Technology 3, 953, for fringes of interferometers). The offsets
need not be known for that, nor what they were taken over: all of the picture, a crop of it, or one with a border.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Complex, Float, UInt8

from isotherm.errors import InputError
from isotherm.frame import Size

ROUNDS = 10
ON = 0.3
"""Radii off the circle at which a pixel counts as one that shows the waves."""
NEAR = 4.0
"""Medians of the distance beyond which a pixel does not count in the next round."""
FINE = 1e-4
"""Of the spread: values nearer than that are one value, as that of a border of one colour."""
TINY = 1e-9
ASTRAY = 0.05
"""Radii off the circle of the median pixel: less is rounding and clipped quantiles, more is no offset and factor."""
BAND = 16
"""Pixels, of either raster, that a band has at least."""
NO_ELLIPSE = (
    "the transform normalises every picture by its own values, and where the pixels look cannot be told from what comes out: it does "
    "so by more than an offset and a factor for each picture (as equalising a histogram does), or shows too little of the picture; give "
    "it with a fixed mean and deviation, or pass the tensor, with picture="
)
SAME, SOME = 1e-3, 0.02
"""Of the values' range: what has not changed; of the pixels: what is not chance."""


def normalises(
    transform: Callable[[UInt8[np.ndarray, "h w 3"]], Float[np.ndarray, "c a b"]],
    source: Size,
    size: Size,
    shown: Bool[np.ndarray, "a b"],
) -> bool:
    """Whether a pixel's value depends on places that it does not look at.

    Every second band of a grey picture becomes black, and white: where each pixel is made of what lies around its place
    alone, those of the other bands stay as they are.

    Args:
        transform: from a picture to what the model is fed.
        source: (h, w) of the picture.
        size: of the output, (a, b).
        shown: the pixels that show the picture.
    """
    count = int(np.clip(min(source[1], *size) // BAND, 2, 16))
    band = np.arange(source[1]) * count // source[1] % 2
    for which in (0, 1):
        pictures = (np.full((*source, 3), 125, np.uint8) for _ in range(2))
        made = []
        for picture, level in zip(pictures, (0, 255), strict=True):
            picture[:, band == which] = level
            made.append(transform(picture).astype(np.float64))
        same: np.ndarray = np.all(np.abs(made[0] - made[1]) <= SAME * np.ptp(made[0]), axis=0)
        if same[shown].mean() > SOME:
            return False
    return True


def circled(answer: Complex[np.ndarray, "h w"]) -> Complex[np.ndarray, "h w"]:
    """Answers around 0 with a strength of 1, and 0 where a pixel shows no wave.

    Args:
        answer: of each pixel, the cosine and the sine, each with an offset and a factor of its own. They need to go
            around for most of a period.

    Raises:
        InputError: they lie on no ellipse.
    """
    x, y = answer.real, answer.imag
    spread = np.array([np.ptp(x), np.ptp(y)])
    if spread.min() <= TINY:
        raise InputError(NO_ELLIPSE)
    middle = np.array([np.median(x), np.median(y)])
    x, y = (x - middle[0]) / spread[0], (y - middle[1]) / spread[1]
    counts = ~_commonest(x, y)
    for _ in range(ROUNDS):
        ellipse = _ellipse(x[counts], y[counts])
        if ellipse is None:
            raise InputError(NO_ELLIPSE)
        (x0, y0), (a, b) = ellipse
        made = (x - x0) / a + 1j * (y - y0) / b
        off = np.abs(np.abs(made) - 1)
        counts = off <= max(NEAR * float(np.median(off[counts])), 1e-6)
    if np.median(off[counts]) > ASTRAY:
        raise InputError(NO_ELLIPSE)
    return np.where(off < ON, made, 0)


def signs(values: Float[np.ndarray, "c h w"]) -> tuple[int, ...]:
    """Whether each channel grows (1) or falls (-1) where the one that varies most grows; 0: it does not vary with it.

    Args:
        values: of the channels for one picture of a wave.
    """
    flat = values.reshape(len(values), -1).astype(np.float64)
    flat = flat - flat.mean(1, keepdims=True)
    size = np.sqrt(np.square(flat).sum(1))
    most = int(np.argmax(size))
    if not size[most] > TINY:
        return (0,) * len(values)
    along = flat @ flat[most] / (np.maximum(size, TINY * size[most]) * size[most])
    return tuple(int(np.sign(r)) if abs(r) > 0.5 else 0 for r in along)


def _commonest(x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The pixels of the most frequent value: a border of one colour lies in one point, off the ellipse."""
    keys = np.rint(x / FINE) + 1j * np.rint(y / FINE)
    _, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
    common: Bool[np.ndarray, "h w"] = (which == np.argmax(counts)).reshape(x.shape)
    return common


def _ellipse(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """(the middle, the half axes) of the ellipse along the axes through points, by least squares; None without one."""
    if len(x) < 5:
        return None
    terms = np.stack([x * x, y * y, x, y, np.ones_like(x)], 1)
    # the least singular vector, by the small matrix of products
    a, b, c, d, e = np.linalg.eigh(terms.T @ terms)[1][:, 0]
    if a * b <= 0:
        return None
    x0, y0 = -c / (2 * a), -d / (2 * b)
    level = a * x0 * x0 + b * y0 * y0 - e
    if level / a <= 0:
        return None
    return (float(x0), float(y0)), (float(np.sqrt(level / a)), float(np.sqrt(level / b)))
