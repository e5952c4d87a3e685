"""Laying a map over a picture: interpolate the floats, then colour, then mix.

The order matters. Enlarging a coloured 7x7 map instead is wrong by up to a quarter of the colour range, because
colours half-way between two entries of a colour map are not the colour of the value half-way.

Speed: 8-bit pictures are worked through in bands of rows. Greying and colouring are one layer, whose pixel
follows from the level and the picture's luma alone: colour times opacity and opacity are looked up as one 32-bit
number, and Pillow mixes them in (as "RGBa", which takes a third of the time of "RGBA"). Where the layer is clear the
picture stays as it is.

An upright frame interpolates rows and columns apart. The columns are done once; a row of pixels is then a mix of
two rows of the map, so a picture costs the same whether its map has 20 rows or 2000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32, Shaped, UInt8, UInt32
from PIL import Image
from torch import Tensor

from isotherm.draw.colour import Ink, Scale
from isotherm.draw.colour_maps import LEVELS
from isotherm.draw.picture import LUMA, SHADES, Colours, bands, white_of
from isotherm.frame import Frame, compose_affine
from isotherm.ops.resample import source_raster, to_frame


def blend(picture: Colours, values: Float[Tensor, "h w"], frame: Frame, *, scale: Scale, ink: Ink) -> Colours:
    """The picture with the map over it: :func:`blend_image` for 8 bits, :func:`blend_deep` for more."""
    if isinstance(picture, Image.Image) or picture.dtype == np.uint8:
        return blend_image(picture, values, frame, scale=scale, ink=ink)
    return blend_deep(picture, values, frame, scale=scale, ink=ink)


def blend_image(
    picture: Image.Image | UInt8[np.ndarray, "H W 3"],
    values: Float[Tensor, "h w"],
    frame: Frame,
    *,
    scale: Scale,
    ink: Ink,
) -> Image.Image:
    """The picture with the map over it, in 8 bits.

    Args:
        picture: over the frame's source, at its size or any other: PIL of mode RGB, or an array.
        values: (h, w), ``frame.size == (h, w)``.
        frame: single.
        scale: the values at the ends of the colour map.
        ink: colour, opacity and greying of each level.

    Returns:
        A new picture of mode RGB.
    """
    w, h = picture.size if isinstance(picture, Image.Image) else (picture.shape[1], picture.shape[0])
    levels = LevelMap(values, frame, scale, source_raster(frame, (h, w)))
    pixel_of = _lookup(ink, h * w)
    if isinstance(picture, Image.Image):
        picture.load()
    out = Image.new("RGB", (w, h), None)  # every band of it is pasted

    for start, stop in bands((h, w)):
        part = (
            picture.crop((0, start, w, stop))
            if isinstance(picture, Image.Image)
            else Image.fromarray(picture[start:stop])
        )
        x0, x1 = columns = levels.columns(start, stop, ink.clear)
        if x0 < x1:
            box = (x0, 0, x1, stop - start)
            luma = np.asarray(part.crop(box).convert("L"))
            layer = np.empty(luma.shape, np.uint32)
            for y0, y1, index in levels.blocks(start, stop, columns):
                here = slice(y0 - start, y1 - start)
                pixel_of(index, luma[here], layer[here])
            colours = Image.frombuffer("RGBa", (x1 - x0, stop - start), layer, "raw", "RGBa", 0, 1)
            part.paste(colours, box, colours)
        out.paste(part, (0, start))
    return out


def blend_deep(
    picture: Shaped[np.ndarray, "H W 3"], values: Float[Tensor, "h w"], frame: Frame, *, scale: Scale, ink: Ink
) -> Shaped[np.ndarray, "H W 3"]:
    """As :func:`blend_image`, for a picture of uint16, or floating point in [0, 1]: a new array of the same dtype."""
    size = (picture.shape[0], picture.shape[1])
    levels = LevelMap(values, frame, scale, source_raster(frame, size))
    result = np.empty(picture.shape, picture.dtype)
    white = white_of(picture.dtype)
    colour, opacity, greying = ink.colour.numpy(), ink.alpha.numpy()[:, None], ink.grey.numpy()[:, None]

    for start, stop in bands(size):
        result[start:stop] = picture[start:stop]
        x0, x1 = columns = levels.columns(start, stop, ink.clear)
        for y0, y1, index in levels.blocks(start, stop, columns) if x0 < x1 else ():
            alpha, grey = opacity[index], greying[index]
            own = picture[y0:y1, x0:x1]
            luma = own @ np.array(LUMA, np.float32)
            mixed = (own * (1 - grey) + luma[..., None] * grey) * (1 - alpha) + colour[index] * (alpha * white)
            result[y0:y1, x0:x1] = mixed if white == 1 else np.rint(mixed)
    return result


Lookup = Callable[[Int32[np.ndarray, "n w"], UInt8[np.ndarray, "n w"], UInt32[np.ndarray, "n w"]], None]
"""From levels, which may be overwritten, and lumas to pixels of the layer."""


def _lookup(ink: Ink, pixels: int) -> Lookup:
    """How a pixel of the layer is found: in a table of all of them, where the picture has more pixels than that."""
    if pixels < len(ink.alpha) * SHADES:
        return lambda level, luma, out: np.copyto(out, ink.layer(level, luma))
    table = ink.layer(np.arange(len(ink.alpha))[:, None], np.arange(SHADES, dtype=np.uint8)[None]).ravel()

    def look(level: np.ndarray, luma: np.ndarray, out: np.ndarray) -> None:
        # in 32 bits, which takes half the time, up to the very last
        level *= SHADES
        level += luma
        np.take(table, level.astype(np.intp), out=out, mode="clip")

    return look


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
