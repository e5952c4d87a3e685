"""Laying a map over a picture: interpolate the floats, then colour, then mix.

The order matters. Enlarging a coloured 7x7 map instead is wrong by up to a quarter of the colour range, because
colours half-way between two entries of a colour map are not the colour of the value half-way.

Speed: 8-bit pictures are worked through in bands of rows. Greying and colouring are one layer, whose pixel
follows from the level and the picture's luma alone: colour times opacity and opacity are looked up as one 32-bit
number, and Pillow mixes them in (as "RGBa", which takes a third of the time of "RGBA"). Where the layer is clear the
picture stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int32, Shaped, UInt8, UInt32
from PIL import Image
from torch import Tensor

from isotherm.draw.bands import in_bands
from isotherm.draw.ink import Ink
from isotherm.draw.levels import LevelMap
from isotherm.draw.luma import LUMA, SHADES
from isotherm.draw.picture import white_of
from isotherm.draw.scale import Scale
from isotherm.frame import Frame
from isotherm.ops.resample import source_raster


def blend(
    picture: Image.Image | Shaped[np.ndarray, "H W 3"],
    values: Float[Tensor, "h w"],
    frame: Frame,
    *,
    scale: Scale,
    ink: Ink,
) -> Image.Image | Shaped[np.ndarray, "H W 3"]:
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

    def band(start: int, stop: int) -> None:
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

    in_bands((h, w), band)
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

    def mix(start: int, stop: int) -> None:
        result[start:stop] = picture[start:stop]
        x0, x1 = columns = levels.columns(start, stop, ink.clear)
        for y0, y1, index in levels.blocks(start, stop, columns) if x0 < x1 else ():
            alpha, grey = opacity[index], greying[index]
            own = picture[y0:y1, x0:x1]
            luma = own @ np.array(LUMA, np.float32)
            mixed = (own * (1 - grey) + luma[..., None] * grey) * (1 - alpha) + colour[index] * (alpha * white)
            result[y0:y1, x0:x1] = mixed if white == 1 else np.rint(mixed)

    in_bands(size, mix)
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
