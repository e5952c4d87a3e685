"""Laying a map over a picture: interpolate the floats, then colour, then mix.

The order matters. Enlarging a coloured 7x7 map instead is wrong by up to a quarter of the colour range, because
colours half-way between two entries of a colour map are not the colour of the value half-way.

Speed: a picture is worked through in blocks of rows that stay in the processor's cache, in bands that threads share.
For 8-bit pictures all arithmetic is in 16-bit integers: with weights that add up to 256, the mix
``p (256 - a) + c a`` of a pixel and a colour is below 2^16, and ``c a`` is looked up ready multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8, UInt16
from PIL import Image
from torch import Tensor

from isotherm.draw.colour import alpha_table, colour_table, default_colormap
from isotherm.draw.levels import LevelMap
from isotherm.draw.scale import Scale
from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.ops.resample import source_raster

BAND_PIXELS = 1 << 18
"""Pixels that a thread takes at a time; smaller pictures are drawn by one thread."""

MOST_THREADS = 8
"""Beyond this memory is what they wait for."""


@dataclass(frozen=True)
class Ink:
    """Colour and opacity of every level; level 0 is "nothing here" and leaves the picture as it is.

    Args:
        colour: (1024, 3) RGB in [0, 1].
        alpha: (1024,) in [0, 1].
    """

    colour: Float[Tensor, "n 3"]
    alpha: Float[Tensor, " n"]

    @classmethod
    def of(
        cls,
        colormap: str | None = None,
        *,
        signed: bool,
        opacity: float = 1.0,
        by_value: bool = False,
        threshold: float = 0.0,
    ) -> Ink:
        """The ink of a named colour map; ``None`` is the default one for signed or unsigned maps."""
        colour = colour_table(colormap or default_colormap(signed=signed))
        alpha = alpha_table(opacity, by_value=by_value, signed=signed, threshold=threshold)
        return cls(torch.cat([colour[:1], colour]), torch.cat([alpha.new_zeros(1), alpha]))

    def integer_tables(self) -> tuple[UInt16[np.ndarray, "n 3"], UInt16[np.ndarray, "n 3"]]:
        """The picture's weight out of 256, and the colour times its own weight plus 128, so that cutting rounds."""
        weight = (self.alpha * 256).round()[:, None]
        added = (self.colour * 255 * weight).round() + 128
        return np.repeat(256 - weight.numpy(), 3, axis=1).astype(np.uint16), added.numpy().astype(np.uint16)


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
    colour, opacity = ink.colour.numpy(), ink.alpha.numpy()[:, None]

    def mix_deep(start: int, stop: int) -> None:
        for y0, y1, index in levels.blocks(start, stop):
            alpha = opacity[index]
            mixed = picture[y0:y1] * (1 - alpha) + colour[index] * (alpha * white)
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
        # in bands: turning 36 MB into an array at once takes three times as long as turning them piece by piece
        rows = np.array(picture.crop((0, y0, w, y1)))
        mix.rows(rows, levels, y0, rows)
        out.paste(Image.fromarray(rows), (0, y0))

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


class _ByteMix:
    def __init__(self, ink: Ink) -> None:
        self.keep, self.add = ink.integer_tables()

    def rows(self, source: UInt8[np.ndarray, "n W 3"], levels: LevelMap, start: int, out: UInt8[np.ndarray, "n W 3"]) -> None:
        """Mix rows of a picture that begin at row ``start`` into ``out``, which may be the source itself."""
        buffers: list[np.ndarray] = []
        for y0, y1, index in levels.blocks(start, start + len(source)):
            if not buffers:
                buffers = [np.empty((*index.shape, 3), np.uint16) for _ in range(2)]
            pixels, looked_up = (b[: y1 - y0] for b in buffers)
            np.copyto(pixels, source[y0 - start : y1 - start])
            np.take(self.keep, index, axis=0, out=looked_up, mode="clip")
            pixels *= looked_up
            np.take(self.add, index, axis=0, out=looked_up, mode="clip")
            pixels += looked_up
            pixels >>= 8
            np.copyto(out[y0 - start : y1 - start], pixels, casting="unsafe")
