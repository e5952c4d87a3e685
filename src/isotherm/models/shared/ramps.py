"""Where the pixels of a transform's output look, from pictures whose brightness is the place itself.

A pixel that a linear transform makes is a weighted mean of the source's pixels; of a picture that grows by one byte
with every pixel it therefore shows the weights' centroid, to what floats are rounded to, whatever filters it went
through one after another. Two pictures of one brightness give the offset and the factor of every pixel's values, and a
third shows whether they are linear at all. Waves (:mod:`isotherm.models.shared.fringes`) answer behind any curve of the
values and where outputs are rounded, but are themselves rounded to bytes, which ramps of whole bytes are not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

from isotherm.frame import Size

LEVELS = 256
"""Bytes after which a ramp begins anew: a second one, begun half way, has its own beginning elsewhere."""
DARK, BETWEEN, LIGHT = 55, 128, 200
CURVED = 1e-4
"""Of the way from dark to light, by which a brightness between may be off and values still count as linear."""


def ramp(size: Size, axis: int, start: int) -> UInt8[np.ndarray, "h w 3"]:
    """A grey picture that grows by one byte with every pixel along an axis.

    Args:
        size: (h, w).
        axis: 0: along y, 1: along x.
        start: the first byte.

    Example:
        >>> ramp((1, 4), 1, 254)[0, :, 0].tolist()
        [254, 255, 0, 1]
    """
    line = ((np.arange(size[axis]) + start) % LEVELS).astype(np.uint8)
    grey = np.broadcast_to(line[:, None] if axis == 0 else line[None, :], size)
    return np.repeat(grey[..., None], 3, axis=2)


def centroids(
    brightness: Callable[[UInt8[np.ndarray, "h w 3"]], Float[np.ndarray, "a b"]],
    source: Size,
    expected: Float[np.ndarray, "a b 2"],
) -> list[Float[np.ndarray, "a b"]] | None:
    """[y, x] of what each pixel of the output looks at, in source pixels; None where its values are not linear.

    Args:
        brightness: what comes out of a picture, one number a pixel.
        source: (h, w) of the pictures.
        expected: (y, x) in source pixels, to less than half a ramp.
    """
    dark, between, light = (brightness(np.full((*source, 3), level, np.uint8)) for level in (DARK, BETWEEN, LIGHT))
    seen = light != dark
    linear = (BETWEEN - DARK) / (LIGHT - DARK)
    if not seen.any() or abs(float(np.median((between - dark)[seen] / (light - dark)[seen])) - linear) > CURVED:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        starts = (0,) if max(source) <= LEVELS else (0, LEVELS // 2)
        places = []
        for axis in (0, 1):
            there = np.stack([(expected[..., axis] - 0.5 + start) % LEVELS for start in starts])
            made = np.stack([brightness(ramp(source, axis, start)) for start in starts])
            off = DARK + (made - dark) / (light - dark) * (LIGHT - DARK) - there
            # of two ramps the one that begins anew farther away
            which = np.abs(there - LEVELS / 2).argmin(0)[None]
            off = np.take_along_axis(off, which, 0)[0]
            places.append(expected[..., axis] + (off + LEVELS / 2) % LEVELS - LEVELS / 2)
    return places
