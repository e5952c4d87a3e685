"""Pictures in and pictures out: what comes in as PIL goes out as PIL, an array as an array of its dtype; a picture at
another size; and what everything that draws on pictures needs to know of them.

Large pictures are worked on in bands of rows, so that what is worked on together fits a processor's cache. One band
after another, by one thread: Pillow lets no other Python thread run while it cuts and pastes, and so two threads took
a fifth longer for a picture than one, waiting for each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

from isotherm.errors import ShapeError
from isotherm.frame import Size

Picture = Image.Image | Shaped[np.ndarray, "..."]
"""A PIL picture of any mode, or an array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA of uint8, uint16,
or floating point from 0 to 1."""

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue in the light and shade of a pixel (ITU-R BT.601), as JPEG and Pillow have it."""

SHADES = 256
"""Values of it in an 8-bit picture."""

BAND_PIXELS = 1 << 18
"""Pixels in a band."""


Colours = Image.Image | Shaped[np.ndarray, "H W 3"]
"""A picture's colours without its transparency: PIL of mode RGB, or an array."""


@dataclass(frozen=True)
class Canvas:
    """The colours of a picture, ready to draw on, and what is needed to give the same type back.

    Args:
        rgb: a PIL picture of mode RGB, or an (H, W, 3) array of the caller's dtype.
        alpha: the picture's own transparency, or None: PIL mode L, or (H, W) of the array's dtype.
    """

    rgb: Colours
    alpha: Image.Image | Shaped[np.ndarray, "H W"] | None = None

    @property
    def size(self) -> Size:
        """(h, w)."""
        if isinstance(self.rgb, Image.Image):
            return self.rgb.height, self.rgb.width
        return self.rgb.shape[0], self.rgb.shape[1]


def open_canvas(picture: object) -> Canvas:
    """The canvas of any :data:`Picture`.

    Raises:
        ShapeError: something that is not a picture; tensors and channels-first arrays are told how to become one.
    """
    if isinstance(picture, Image.Image):
        return _from_pil(picture)
    if not isinstance(picture, np.ndarray):
        raise ShapeError(
            f"the picture is a {type(picture).__name__}; expected a PIL picture or a NumPy array (H, W, 3) "
            "(from a tensor (3, H, W) in 0..1: tensor.permute(1, 2, 0).cpu().numpy())"
        )
    if picture.dtype not in (np.uint8, np.uint16) and not np.issubdtype(picture.dtype, np.floating):
        raise ShapeError(
            f"the picture has dtype {picture.dtype}; expected uint8, uint16, or floating point from 0 to 1"
        )
    if picture.size == 0 or picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (1, 3, 4)):
        hint = (
            "; move the channels last: picture.transpose(1, 2, 0)"
            if picture.ndim == 3 and picture.shape[0] in (1, 3, 4)
            else ""
        )
        raise ShapeError(
            f"the picture has shape {picture.shape}; expected (H, W), (H, W, 3) RGB or (H, W, 4) RGBA{hint}"
        )
    if np.issubdtype(picture.dtype, np.floating) and float(np.nanmax(picture)) > 1.001:
        raise ShapeError(
            f"the picture has values up to {float(np.nanmax(picture)):.4g}; floating-point pictures go from 0 to 1, so divide by 255"
        )
    if picture.ndim == 2 or picture.shape[2] == 1:
        return Canvas(np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2))
    return Canvas(picture[..., :3], picture[..., 3] if picture.shape[2] == 4 else None)


def _from_pil(picture: Image.Image) -> Canvas:
    if picture.mode == "RGB":
        return Canvas(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        array = np.asarray(picture)
        top = float(array.max())
        white = 1.0 if picture.mode == "F" and top <= 1 else 255.0 if top <= 255 and picture.mode != "I;16" else 65535.0
        grey = (array.astype(np.float32) * (255 / white)).round().clip(0, 255).astype(np.uint8)
        return Canvas(Image.fromarray(grey).convert("RGB"))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Canvas(rgba.convert("RGB"), rgba.getchannel("A"))
    return Canvas(picture.convert("RGB"))


def to_pil(rgb: Colours) -> Image.Image:
    """An 8-bit PIL picture of a canvas's colours; a new one, so that it can be drawn on."""
    if isinstance(rgb, Image.Image):
        return rgb.copy()
    if rgb.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(rgb))
    scaled = np.nan_to_num(rgb.astype(np.float32)) * (255 / white_of(rgb.dtype))
    return Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8))


def white_of(dtype: np.dtype) -> int:
    """The value of white in a picture of this dtype."""
    return 1 if np.issubdtype(dtype, np.floating) else int(np.iinfo(dtype).max)


def to_array(image: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """A new array of an RGB picture's colours."""
    out = np.empty((image.height, image.width, 3), np.uint8)
    image.load()

    for y0, y1 in bands((image.height, image.width)):  # ten times faster than np.array of a large picture
        out[y0:y1] = np.asarray(image.crop((0, y0, image.width, y1)))
    return out


def like(canvas: Canvas, drawn: Image.Image, plain: Colours, offset: tuple[int, int]) -> Picture:
    """What was drawn in 8 bits, in the type and dtype of the canvas.

    Args:
        canvas: of the picture that came in.
        drawn: mode RGB, with text and boxes, at least as large as the picture.
        plain: the canvas's colours with the map but without text and boxes; an array where the canvas has more than 8
            bits, since where nothing was drawn over them, their full precision is kept.
        offset: (x, y) of the picture's corner in ``drawn``.
    """
    x, y = offset
    h, w = canvas.size
    if isinstance(canvas.rgb, Image.Image):
        return _with_alpha(canvas, drawn, offset)
    out = to_array(drawn)
    if not isinstance(plain, Image.Image):
        eight = np.asarray(to_pil(plain))
        changed = (out[y : y + h, x : x + w] != eight).any(-1, keepdims=True)
        wide = out.astype(np.float64) * (white_of(plain.dtype) / 255)
        out = wide.astype(plain.dtype) if white_of(plain.dtype) == 1 else wide.round().astype(plain.dtype)
        out[y : y + h, x : x + w] = np.where(changed, out[y : y + h, x : x + w], plain)
    if canvas.alpha is None:
        return out
    alpha = np.full(out.shape[:2], white_of(out.dtype), out.dtype)
    alpha[y : y + h, x : x + w] = canvas.alpha
    return np.concatenate([out, alpha[..., None]], -1)


def _with_alpha(canvas: Canvas, drawn: Image.Image, offset: tuple[int, int]) -> Image.Image:
    if canvas.alpha is None:
        return drawn
    assert isinstance(canvas.alpha, Image.Image)
    alpha = Image.new("L", drawn.size, 255)
    alpha.paste(canvas.alpha, offset)
    drawn.putalpha(alpha)
    return drawn


def bands(size: Size) -> Iterator[tuple[int, int]]:
    """The bands of a picture of (h, w), from top to bottom: the first row of each, and the row after its last."""
    h, w = size
    rows = max(1, BAND_PIXELS // w)
    for y in range(0, h, rows):
        yield y, min(h, y + rows)


def fit(source: Sequence[int], limit: Size) -> Size:
    """The size (h, w) of a picture made to fit ``limit`` (h, w), its aspect ratio kept; it may grow."""
    factor = min(limit[0] / source[0], limit[1] / source[1])
    return max(1, round(source[0] * factor)), max(1, round(source[1] * factor))


def picture_tile(picture: Picture, size: Size) -> Image.Image:
    """The picture at ``size`` (h, w), mode RGB; transparency is laid on white."""
    canvas = open_canvas(picture)
    image = canvas.rgb if isinstance(canvas.rgb, Image.Image) else to_pil(canvas.rgb)
    if isinstance(canvas.alpha, Image.Image):
        image = Image.composite(image, Image.new("RGB", image.size, "white"), canvas.alpha)
    if image.size == (size[1], size[0]):
        return image.copy()
    return image.resize((size[1], size[0]), Image.Resampling.LANCZOS, reducing_gap=3.0)
