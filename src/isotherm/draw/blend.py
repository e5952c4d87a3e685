"""Laying a map over a picture: interpolate the floats, then colour, then mix.

The order matters. Enlarging a coloured 7x7 map instead is wrong by up to a quarter of the colour range, because
colours half-way between two entries of a colour map are not the colour of the value half-way.

Speed: a picture is worked through in blocks of rows that stay in the processor's cache, in bands that threads share.
For 8-bit pictures all arithmetic is in 16-bit integers: with weights that add up to 256, the mix of a pixel, its luma and
a colour is below 2^16, and the colour is looked up ready multiplied. A pixel is four such integers (red, green, blue and
one that nothing reads), since one 64-bit number is looked up four times faster than three 16-bit ones.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped, UInt8, UInt16
from PIL import Image
from torch import Tensor

from isotherm.draw.ink import Ink
from isotherm.draw.levels import LevelMap
from isotherm.draw.scale import Scale
from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.ops.resample import source_raster

BAND_PIXELS = 1 << 18
"""Pixels that a thread takes at a time; smaller pictures are drawn by one thread."""

MOST_THREADS = 8
"""Beyond this memory is what they wait for."""

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue in the light and shade of a pixel (ITU-R BT.601), as JPEG has it."""


def blend(
    picture: Shaped[np.ndarray, "H W 3"],
    values: Float[Tensor, "h w"],
    frame: Frame,
    *,
    scale: Scale,
    ink: Ink,
) -> Shaped[np.ndarray, "H W 3"]:
    """The picture with the map over it, as a new array of the same dtype.

    Args:
        picture: RGB over the frame's source, at its size or any other; uint8, uint16, or floating point in [0, 1].
        values: (h, w), ``frame.size == (h, w)``.
        frame: single.
        scale: the values at the ends of the colour map.
        ink: colour and opacity of each level.
    """
    size = (picture.shape[0], picture.shape[1])
    levels = LevelMap(values, frame, scale, source_raster(frame, size))
    result = np.empty(picture.shape, picture.dtype)
    if picture.dtype == np.uint8:
        mix = _ByteMix(ink)
        _in_bands(size, lambda y0, y1: mix.rows(picture[y0:y1], levels, y0, result[y0:y1]))
        return result
    if picture.dtype != np.uint16 and not np.issubdtype(picture.dtype, np.floating):
        raise ShapeError(f"the picture has dtype {picture.dtype}; expected uint8, uint16, or floating point from 0 to 1")
    white = white_of(picture.dtype)
    colour, opacity, greying = ink.colour.numpy(), ink.alpha.numpy()[:, None], ink.grey.numpy()[:, None]

    def mix_deep(start: int, stop: int) -> None:
        for y0, y1, index in levels.blocks(start, stop):
            alpha, grey = opacity[index], greying[index]
            own = picture[y0:y1]
            luma = own @ np.array(LUMA, np.float32)
            mixed = (own * (1 - grey) + luma[..., None] * grey) * (1 - alpha) + colour[index] * (alpha * white)
            result[y0:y1] = mixed if white == 1 else np.rint(mixed)

    _in_bands(size, mix_deep)
    return result


def white_of(dtype: np.dtype) -> int:
    """The value of white in a picture of this dtype."""
    return 1 if np.issubdtype(dtype, np.floating) else int(np.iinfo(dtype).max)


def blend_image(
    picture: Image.Image, values: Float[Tensor, "h w"], frame: Frame, *, scale: Scale, ink: Ink
) -> Image.Image:
    """As :func:`blend`, for a PIL picture of mode RGB."""
    w, h = picture.size
    levels = LevelMap(values, frame, scale, source_raster(frame, (h, w)))
    mix = _ByteMix(ink)
    picture.load()
    out = Image.new("RGB", (w, h))

    def band(y0: int, y1: int) -> None:
        # in bands, and with a fourth byte a pixel, as Pillow keeps them: packing them into three takes ten times as long
        rows = np.frombuffer(picture.crop((0, y0, w, y1)).tobytes("raw", "RGBX"), np.uint8).reshape(y1 - y0, w, 4)
        mixed = np.empty_like(rows)
        mix.rows(rows, levels, y0, mixed)
        out.paste(Image.frombuffer("RGB", (w, y1 - y0), mixed, "raw", "RGBX", 0, 1), (0, y0))

    _in_bands((h, w), band)
    return out


def _in_bands(size: tuple[int, int], work: Callable[[int, int], None]) -> None:
    """Run ``work(first row, row after the last)`` over all rows, in bands, on as many threads as torch may use."""
    h, w = size
    rows = max(1, BAND_PIXELS // w)
    bands = [(y, min(h, y + rows)) for y in range(0, h, rows)]
    threads = min(torch.get_num_threads(), MOST_THREADS, len(bands))
    if threads == 1:
        for band in bands:
            work(*band)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda band: work(*band), bands))  # the list raises what a band raised


def _as_one(lanes: UInt16[np.ndarray, "*n 4"]) -> Int[np.ndarray, "*n"]:
    """Four 16-bit lanes as one 64-bit number, in the same memory."""
    return lanes.view(np.int64)[..., 0]


class _ByteMix:
    def __init__(self, ink: Ink) -> None:
        keep, luma, add = ink.integer_tables()
        self.keep, self.luma, self.add = _as_one(keep), None if ink.keeps_colours else _as_one(luma), _as_one(add)

    def rows(self, source: UInt8[np.ndarray, "n W c"], levels: LevelMap, start: int, out: UInt8[np.ndarray, "n W c"]) -> None:
        """Mix rows of a picture that begin at row ``start`` into ``out``; c is 3, or 4 where the last byte means nothing."""
        buffers: list[np.ndarray] = []
        for y0, y1, index in levels.blocks(start, start + len(source)):
            if not buffers:
                buffers = [np.empty((*index.shape, 4), np.uint16) for _ in range(3)]
            pixels, light, looked_up = (b[: y1 - y0] for b in buffers)
            here, there = source[y0 - start : y1 - start], out[y0 - start : y1 - start]
            _spread(here, pixels)
            if self.luma is not None:
                _luma(pixels, light)
                np.take(self.luma, index, out=_as_one(looked_up), mode="clip")
                light *= looked_up
            np.take(self.keep, index, out=_as_one(looked_up), mode="clip")
            pixels *= looked_up
            if self.luma is not None:
                pixels += light
            np.take(self.add, index, out=_as_one(looked_up), mode="clip")
            pixels += looked_up
            pixels >>= 8
            _gather(pixels, there)


_WEIGHTS = np.array([77, 150, 29, 0], np.uint16)
"""LUMA in parts of 256. Their sum is 256, so that the weighted sum of three bytes stays below 2^16."""

_ONES = 0x0001_0001_0001_0001


def _luma(pixels: UInt16[np.ndarray, "n W 4"], out: UInt16[np.ndarray, "n W 4"]) -> None:
    """The luma of each pixel, in all of its lanes.

    Multiplied by 1 in each lane, a number's highest lane becomes the sum of its lanes, and a lowest lane fills all of them.
    """
    np.multiply(pixels, _WEIGHTS if pixels.shape[1] < 8 else _tiled(pixels.shape[1]), out=out)
    whole = out.view(np.uint64)[..., 0]
    whole *= np.uint64(_ONES)
    whole >>= np.uint64(56)
    whole *= np.uint64(_ONES)


@lru_cache(maxsize=8)
def _tiled(width: int) -> UInt16[np.ndarray, "W 4"]:
    # whole rows are multiplied ten times faster than four numbers at a time
    return np.tile(_WEIGHTS, (width, 1))


def _spread(source: UInt8[np.ndarray, "n W c"], out: UInt16[np.ndarray, "n W 4"]) -> None:
    """Bytes to 16-bit lanes; three channels one by one, which is five times faster than all at once into four."""
    if source.shape[2] == 4:
        np.copyto(out, source)
        return
    for channel in range(3):
        np.copyto(out[..., channel], source[..., channel])


def _gather(pixels: UInt16[np.ndarray, "n W 4"], out: UInt8[np.ndarray, "n W c"]) -> None:
    if out.shape[2] == 4:
        np.copyto(out, pixels, casting="unsafe")
        return
    for channel in range(3):
        np.copyto(out[..., channel], pixels[..., channel], casting="unsafe")
