"""Work on a large picture, shared out to threads in bands of rows.

The loops are NumPy's and Pillow's on purpose: both work on one core and let other Python threads run meanwhile, so
bands never wait for each other. The same work as torch operations meets at a barrier after every small step: equally
fast on an idle machine, thirty times slower on a busy one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from isotherm.frame import Size

BAND_PIXELS = 1 << 18
"""Pixels that a thread takes at a time; smaller pictures are drawn by one thread."""

A = TypeVar("A")
B = TypeVar("B")

MOST_THREADS = 8
"""Beyond this memory is what they wait for."""


def in_bands(size: Size, work: Callable[[int, int], None]) -> None:
    """Run ``work(first row, row after the last)`` over all rows of a picture of (h, w), in bands of
    :data:`BAND_PIXELS`.
    """
    h, w = size
    rows = max(1, BAND_PIXELS // w)
    in_threads(work, [(y, min(h, y + rows)) for y in range(0, h, rows)])


def in_threads(work: Callable[..., None], parts: Iterable[tuple[Any, ...]]) -> None:
    """Run ``work(*part)`` for every part, on as many threads as torch may use; raises what one of them raised."""
    parts = list(parts)
    threads = min(torch.get_num_threads(), MOST_THREADS, len(parts))
    if threads <= 1:
        for part in parts:
            work(*part)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: work(*part), parts))


def at_once(one: Callable[[], A], other: Callable[[], B]) -> tuple[A, B]:
    """The results of two pieces of work, done at the same time where torch may use more than one thread."""
    if torch.get_num_threads() == 1:
        return one(), other()
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(other)
        return one(), later.result()
