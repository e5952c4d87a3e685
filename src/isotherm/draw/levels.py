"""Which level of a colour map every pixel of a picture gets: interpolated floats, a few rows at a time.

An upright frame interpolates rows and columns apart. The columns are done once; a row of pixels is then a mix of
two rows of the map, so a picture costs the same whether its map has 20 rows or 2000.

Blocks of rows are small enough for the cache; the bands of a picture (`bands`) are made of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32
from torch import Tensor

from isotherm.draw.colour import LEVELS
from isotherm.draw.scale import Scale
from isotherm.frame import Frame, compose_affine
from isotherm.ops.resample import to_frame

BLOCK_PIXELS = 1 << 15
"""Pixels in a block of rows: all of its arrays together fit a processor core's second-level cache."""

Block = tuple[int, int, Int32[np.ndarray, "n w"]]
"""First row, row after the last, and the levels between; overwritten by the next block."""

Columns = tuple[int, int]
"""The first column, and the one after the last."""

Clear = tuple[int, int]
"""The first and the last of a run of levels, from 1 on."""


class LevelMap:
    """The levels of a map at the pixels of a raster.

    Level 0 is a pixel that no cell covers, or whose cell is NaN; 1 to 1023 run from ``scale.low`` to ``scale.high``.
    Beside NaN cells the interpolation runs over the cells that have a value.

    Args:
        values: (h, w), ``frame.size == (h, w)``.
        frame: single.
        scale: the values of levels 1 and 1023; an empty one gives level 0 everywhere.
        raster: single, over the same source picture.
    """

    def __init__(self, values: Float[Tensor, "h w"], frame: Frame, scale: Scale, raster: Frame) -> None:
        self._width = raster.size[1]
        self._read: _Upright | _Turned | None = None
        if scale.is_empty:
            return
        cells = values.detach().to("cpu", torch.float64).numpy()
        cells = np.nan_to_num(cells, nan=np.nan, posinf=scale.high, neginf=scale.low)
        known = ~np.isnan(cells)
        # in units of levels, and half a level up, so that cutting to a whole number rounds; 0 where there is no value
        factor = (LEVELS - 1) / (scale.high - scale.low)
        ready = np.where(known, (cells - scale.low) * factor + 1.5, 0.0)
        reader = _Upright if frame.is_upright and raster.is_upright else _Turned
        self._read = reader(ready, None if known.all() else known, frame, raster)

    def columns(self, start: int, stop: int, clear: Clear | None) -> Columns:
        """Between which columns of rows ``start`` to ``stop`` other levels than those of ``clear`` may be; all, where
        that is not known.
        """
        return (0, self._width) if self._read is None or clear is None else self._read.columns(start, stop, clear)

    def blocks(self, start: int, stop: int, columns: Columns) -> Iterator[Block]:
        """The levels of rows ``start`` to ``stop`` between two columns, block by block, in order."""
        width = columns[1] - columns[0]
        rows = max(1, BLOCK_PIXELS // width)
        spans = [(y0, min(stop, y0 + rows)) for y0 in range(start, stop, rows)]
        levels = np.zeros((min(rows, stop - start), width), np.int32)
        if self._read is None:
            yield from ((y0, y1, levels[: y1 - y0]) for y0, y1 in spans)
            return
        for (y0, y1), (block, seen) in zip(spans, self._read.blocks(spans, columns), strict=True):
            np.clip(block, 1, LEVELS, out=block)
            out = levels[: y1 - y0]
            np.copyto(out, block, casting="unsafe")
            if seen is not None:
                out *= seen
            yield y0, y1, out


Spans = list[tuple[int, int]]
Blocks = Iterator[tuple[Float[np.ndarray, "n w"], Bool[np.ndarray, "n w"] | None]]

EDGE = 0.01
"""In levels: more than rounding adds to a value that lies between two others."""


class _Axis:
    """Linear interpolation along one side: low cell, weight of the next one, nearest cell, whether on the map at
    all.
    """

    def __init__(self, step: float, start: float, pixels: int, cells: int, limits: tuple[float, float]) -> None:
        # positions in float64: at 12 megapixels float32 is off by a thousandth of a cell
        at = (np.arange(pixels) + 0.5) * step + start
        index = (at - 0.5).clip(0, cells - 1)
        self.low = np.minimum(np.floor(index), max(cells - 2, 0)).astype(np.intp)
        self.weight = index - self.low
        self.nearest = np.floor(at).clip(0, cells - 1).astype(np.intp)
        self.inside = (at >= limits[0]) & (at <= limits[1])
        self.next = 1 if cells > 1 else 0


class _Upright:
    def __init__(self, values: np.ndarray, known: np.ndarray | None, frame: Frame, raster: Frame) -> None:
        matrix = compose_affine(frame.from_source, raster.to_source).tolist()
        x0, y0, x1, y1 = frame.limits
        self.y = _Axis(matrix[1][1], matrix[1][2], raster.size[0], frame.size[0], (y0, y1))
        self.x = _Axis(matrix[0][0], matrix[0][2], raster.size[1], frame.size[1], (x0, x1))
        self.known = known
        self.weight = self.y.weight.astype(np.float32)[:, None]
        self.covered = bool(self.y.inside.all() and self.x.inside.all())
        self.strips = [self._strip(values)] + ([self._strip(known.astype(np.float64))] if known is not None else [])

    def _strip(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cells' rows at the pixels' columns, and what a whole step to the next row adds."""
        x = self.x
        mixed = cells[:, x.low] * (1 - x.weight) + cells[:, x.low + x.next] * x.weight
        strip = np.ascontiguousarray(
            mixed, np.float32
        )  # indexing columns leaves them in column order, five times slower to read
        return strip, np.diff(strip, axis=0, append=strip[-1:])

    def columns(self, start: int, stop: int, clear: Clear) -> Columns:
        width = len(self.x.low)
        if self.known is not None or not self.covered:
            return 0, width
        first, last = clear
        # interpolated values lie between those of the rows above and below
        rows = self.strips[0][0][self.y.low[start] : self.y.low[stop - 1] + 1 + self.y.next]
        least, most = rows.min(0), rows.max(0)
        others = np.flatnonzero((least < first + EDGE) & (first > 1) | (most > last + 1 - EDGE) & (last < LEVELS))
        return (int(others[0]), int(others[-1]) + 1) if len(others) else (0, 0)

    def blocks(self, spans: Spans, columns: Columns) -> Blocks:
        here = slice(*columns)
        shape = (max(y1 - y0 for y0, y1 in spans), columns[1] - columns[0])
        buffers = [np.empty(shape, np.float32) for _ in self.strips]
        for y0, y1 in spans:
            mixed = [
                self._mix(strip, y0, y1, here, out[: y1 - y0]) for strip, out in zip(self.strips, buffers, strict=True)
            ]
            seen = None if self.covered else self.y.inside[y0:y1, None] & self.x.inside[here]
            if self.known is not None:
                np.divide(mixed[0], mixed[1], out=mixed[0], where=mixed[1] > 0)
                held = self.known[self.y.nearest[y0:y1, None], self.x.nearest[here]]
                seen = held if seen is None else held & seen
            yield mixed[0], seen

    def _mix(
        self, strip: tuple[np.ndarray, np.ndarray], y0: int, y1: int, columns: slice, out: np.ndarray
    ) -> np.ndarray:
        """The cells interpolated at the pixels of rows y0 to y1, in ``out``."""
        rows, step = (a[:, columns] for a in strip)
        # pixels between the same two rows of cells at once
        turns = [y0, *(y0 + 1 + np.flatnonzero(np.diff(self.y.low[y0:y1]))).tolist(), y1]
        for start, stop in pairwise(turns):
            part, low = out[start - y0 : stop - y0], self.y.low[start]
            np.multiply(step[low], self.weight[start:stop], out=part)
            part += rows[low]
        return out


class _Turned:
    def __init__(self, values: np.ndarray, known: np.ndarray | None, frame: Frame, raster: Frame) -> None:
        self.frame, self.raster = frame, raster
        self.cells = torch.from_numpy(values).float()
        self.partly = known is not None
        self.held = torch.ones(frame.size) if known is None else torch.from_numpy(known).float()

    def columns(self, start: int, stop: int, clear: Clear) -> Columns:
        return 0, self.raster.size[1]

    def blocks(self, spans: Spans, columns: Columns) -> Blocks:
        for y0, y1 in spans:
            part = self.raster.cropped((columns[0], y0, columns[1], y1))
            block = to_frame(self.cells, self.frame, part, outside="edge").numpy()
            if self.partly:
                weight = to_frame(self.held, self.frame, part, outside="edge").numpy()
                np.divide(block, weight, out=block, where=weight > 0)
            yield block, to_frame(self.held, self.frame, part, outside="zero", mode="nearest").numpy() > 0
