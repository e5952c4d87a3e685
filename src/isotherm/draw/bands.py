"""Work on a large picture in bands of rows: what is worked on together fits a processor's cache.

One band after another, by one thread: Pillow lets no other Python thread run while it cuts and pastes, and so two
threads took a fifth longer for a picture than one, waiting for each other.
"""

from __future__ import annotations

from collections.abc import Callable

from isotherm.frame import Size

BAND_PIXELS = 1 << 18
"""Pixels in a band."""


def in_bands(size: Size, work: Callable[[int, int], None]) -> None:
    """Run ``work(first row, row after the last)`` over all rows of a picture of (h, w), in bands of
    :data:`BAND_PIXELS`.
    """
    h, w = size
    rows = max(1, BAND_PIXELS // w)
    for y in range(0, h, rows):
        work(y, min(h, y + rows))
