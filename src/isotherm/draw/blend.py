"""Laying a map over a picture: interpolate the floats, then colour, then mix.

The order matters. Enlarging a coloured 7x7 map instead is wrong by up to a quarter of the colour range, because
colours half-way between two entries of a colour map are not the colour of the value half-way.

Speed: a picture is worked through in blocks of rows that stay in the processor's cache. For 8-bit pictures all
arithmetic is in 16-bit integers: with weights that add up to 256, the mix ``p (256 - a) + c a`` of a pixel and a
colour is below 2^16, and ``c a`` is looked up ready multiplied. torch's 16-bit integers are signed, but sums and
products modulo 2^16 are the same, and the upper byte that is kept at the end has no sign either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int16, Int32, Shaped, UInt8
from PIL import Image
from torch import Tensor

from isotherm.draw.colour import alpha_table, colour_table, default_colormap
from isotherm.draw.levels import level_blocks
from isotherm.draw.scale import Scale
from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.ops.resample import source_raster

Blocks = Iterator[tuple[int, int, Int32[Tensor, "n W"]]]


@dataclass(frozen=True)
class Ink:
    """Colour and opacity of every level; level 0 is "nothing here" and leaves the picture as it is.

    Args:
        colour: (1024, 3) RGB in [0, 1].
        alpha: (1024,) in [0, 1].
    """

    colour: Float[Tensor, "n 3"]
    alpha: Float[Tensor, n]

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

    def integer_tables(self) -> tuple[Int16[Tensor, "n 3"], Int16[Tensor, "n 3"]]:
        """The picture's weight out of 256, and the colour times its own weight plus 128, both modulo 2^16."""
        weight = (self.alpha * 256).round().to(torch.int32)[:, None]
        added = (self.colour * 255 * weight).round().to(torch.int32) + 128  # 128 / 256: the shift then rounds
        return (256 - weight).expand(-1, 3).to(torch.int16).contiguous(), added.to(torch.int16)


def blend(
    picture: Shaped[np.ndarray, "H W 3"] | Image.Image,
    values: Float[Tensor, "h w"],
    frame: Frame,
    *,
    scale: Scale,
    ink: Ink,
) -> Shaped[np.ndarray, "H W 3"] | Image.Image:
    """The picture with the map over it, as a new picture of the same type and dtype.

    Args:
        picture: RGB over the frame's source, at its size or any other; uint8, uint16, or floating point in [0, 1],
            or a PIL picture of mode RGB.
        values: (h, w), ``frame.size == (h, w)``.
        frame: single.
        scale: the values at the ends of the colour map.
        ink: colour and opacity of each level.
    """
    if isinstance(picture, Image.Image):
        w, h = picture.size
        blocks = level_blocks(values, frame, scale, source_raster(frame, (h, w)))
        out = Image.new("RGB", (w, h))
        # in bands: turning 36 MB into an array at once takes three times as long as turning them piece by piece
        for y0, mixed in _blend_bytes(lambda y0, y1: np.asarray(picture.crop((0, y0, w, y1))), blocks, ink):
            out.paste(Image.fromarray(mixed.to(torch.uint8).numpy()), (0, y0))
        return out
    blocks = level_blocks(values, frame, scale, source_raster(frame, (picture.shape[0], picture.shape[1])))
    result = np.empty(picture.shape, picture.dtype)
    if picture.dtype == np.uint8:
        for y0, mixed in _blend_bytes(lambda y0, y1: picture[y0:y1], blocks, ink):
            torch.from_numpy(result[y0 : y0 + len(mixed)]).copy_(mixed)
        return result
    if picture.dtype != np.uint16 and not np.issubdtype(picture.dtype, np.floating):
        raise ShapeError(f"the picture has dtype {picture.dtype}; expected uint8, uint16, or floating point from 0 to 1")
    white = white_of(picture.dtype)
    for y0, y1, levels in blocks:
        alpha = ink.alpha[levels][..., None].numpy()
        mixed = picture[y0:y1] * (1 - alpha) + ink.colour[levels].numpy() * (alpha * white)
        result[y0:y1] = mixed if white == 1 else np.rint(mixed)
    return result


def white_of(dtype: np.dtype) -> int:
    """The value of white in a picture of this dtype."""
    return 1 if np.issubdtype(dtype, np.floating) else int(np.iinfo(dtype).max)


def _blend_bytes(
    read: Callable[[int, int], UInt8[np.ndarray, "n W 3"]], blocks: Blocks, ink: Ink
) -> Iterator[tuple[int, Int16[Tensor, "n W 3"]]]:
    """First row and mixed rows, to be cut to their lower byte; each is overwritten by the next."""
    keep, add = ink.integer_tables()
    buffers: list[Tensor] = []
    for y0, y1, levels in blocks:
        n = levels.numel()
        if not buffers:
            buffers = [torch.empty(n, 3, dtype=torch.int16) for _ in range(3)]
        kept, mixed, pixels = (b[:n] for b in buffers)
        flat = levels.view(-1)
        torch.index_select(keep, 0, flat, out=kept)
        torch.index_select(add, 0, flat, out=mixed)
        pixels.copy_(_tensor(read(y0, y1)).reshape(n, 3))
        mixed.addcmul_(pixels, kept).bitwise_right_shift_(8)
        yield y0, mixed.view(y1 - y0, -1, 3)


def _tensor(array: UInt8[np.ndarray, "n w 3"]) -> UInt8[Tensor, "n w 3"]:
    # torch warns about read-only arrays (as PIL's are) and refuses negative strides (as those of BGR[..., ::-1])
    return torch.from_numpy(array if array.flags.writeable and min(array.strides) > 0 else array.copy())
