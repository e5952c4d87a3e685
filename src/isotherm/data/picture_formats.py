"""Formats of pictures, by the first bytes of a file and by its suffix, and any of them as upright 8-bit RGB: scaled by
its bit depth, never clipped, alpha laid on white.

Every step that changes what a person would see returns a note in words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer, Num, Shaped, UInt8
from PIL import Image

from isotherm.errors import InputError

Notes = list[str]
ORIENTATION = 0x0112
"""EXIF tag that says how a camera was held."""
_CHANNELS = (1, 3, 4)
_NUMPY_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
PICTURE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".pfm",
        ".jp2",
        ".j2k",
        ".jpx",
        ".avif",
        ".heic",
        ".heif",
        ".qoi",
        ".mpo",
    ]
)
_FIRST = ("JPEG", "PNG", "BMP", "GIF", "PPM")
_SECOND = ("WEBP", "TIFF", "JPEG2000", "AVIF", "HEIF", "QOI")


STRIP = 1 << 20
"""Values of an array that are worked on at once in wider numbers."""


def format_of(prefix: bytes) -> str | None:
    """Pillow's name of the format whose files begin so, of those that are read here."""
    Image.preinit()
    for names, prepare in ((_FIRST, None), (_SECOND, Image.init)):
        if prepare is not None:
            prepare()
        for known in names:
            _, accept = Image.OPEN.get(known, (None, None))
            if accept is not None and accept(prefix) is True:
                return known
    return None


def suffixes_of(known: str) -> set[str]:
    """The suffixes that files of a format have."""
    return {suffix for suffix, owner in Image.EXTENSION.items() if owner == known} | (
        {".jpg", ".jpeg", ".mpo"} if known in ("JPEG", "MPO") else set()
    )


def guess_of(prefix: bytes) -> str:
    """What a file that is no picture seems to be, in words."""
    signs: tuple[tuple[Callable[[bytes], bool], str], ...] = (
        (lambda p: p.lstrip().lower().startswith((b"<!doctype html", b"<html")), "it is a web page"),
        (
            lambda p: p.lstrip().startswith((b"<svg", b"<?xml")),
            "it is SVG or XML, drawing instructions without pixels; export it as PNG",
        ),
        (lambda p: p.startswith(b"%PDF"), "it is a PDF; export the page as PNG"),
        (lambda p: p.startswith(b"version https://git-lfs"), "it is a Git LFS pointer; run git lfs pull"),
        (
            lambda p: p[4:8] == b"ftyp" and p[8:12] in (b"heic", b"heix", b"mif1", b"msf1"),
            "it is HEIC; install pillow-heif and call pillow_heif.register_heif_opener(), or export it as JPEG",
        ),
        (
            lambda p: p[4:8] == b"ftyp" or p.startswith((b"\x1aE\xdf\xa3", b"RIFF")),
            "it looks like a video or sound file; give videos by a name that ends in .mp4 or the like",
        ),
        (lambda p: p.startswith(b"PK\x03\x04"), "it is a zip archive; unpack it first"),
        (lambda p: p.startswith(b"\x93NUMPY"), "it is a NumPy array; load it and pass the array"),
    )
    for fits, words in signs:
        if fits(prefix):
            return words
    return f"its first bytes are {prefix[:8]!r}"


def scale_to_uint8(values: Integer[np.ndarray, "*shape"], maximum: int) -> UInt8[np.ndarray, "*shape"]:
    """Whole numbers in 0..``maximum`` to 0..255, rounded to the nearest.

    Args:
        values: any shape, whole numbers, each from 0 to ``maximum``.
        maximum: the value that means white, 65535 for 16 bits.

    Example:
        >>> scale_to_uint8(np.array([0, 128, 32768, 65535]), 65535).tolist()
        [0, 0, 128, 255]
    """
    if values.size > maximum + 1:  # fewer values than pixels: each is worked out once, not in 64 bits for each pixel
        return scale_to_uint8(np.arange(maximum + 1), maximum)[values]
    wide = values.astype(np.int64)
    return ((wide * 255 + maximum // 2) // maximum).astype(np.uint8)


def stretch_to_uint8(values: Num[np.ndarray, "*shape"]) -> tuple[UInt8[np.ndarray, "*shape"], str]:
    """Numbers whose white is not defined to 0..255 by their own extremes, and a note that says so.

    Raises:
        InputError: some value is NaN or infinite.
    """
    finite = np.isfinite(values)
    if not finite.all():
        raise InputError(
            f"the picture holds {int((~finite).sum())} values that are NaN or infinite; replace them before it can be shown"
        )
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.full(values.shape, 128, np.uint8), f"all values are {low:g}; shown as middle grey"

    def scaled(part: Num[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
        wide = part.astype(np.float64)
        return np.rint((wide / 2 - low / 2) / (high / 2 - low / 2) * 255).astype(
            np.uint8
        )  # halves: they may be far apart

    return _by_strips(values, scaled, values.shape), f"values from {low:g} to {high:g} were stretched to 0..255"


def unit_to_uint8(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Numbers in 0..1 to 0..255, rounded to the nearest."""
    return np.rint(values.astype(np.float64) * 255).astype(np.uint8)


def composite_on_white(rgba: UInt8[np.ndarray, "h w 4"]) -> tuple[UInt8[np.ndarray, "h w 3"], Notes]:
    """Straight-alpha RGBA over white; a note only where something was transparent."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    if (alpha == 255).all():
        return np.ascontiguousarray(rgb), []

    def mixed(part: UInt8[np.ndarray, "n w 4"]) -> UInt8[np.ndarray, "n w 3"]:
        wide = part[..., 3:].astype(np.uint16)
        return ((part[..., :3] * wide + 255 * (255 - wide) + 127) // 255).astype(np.uint8)

    return _by_strips(rgba, mixed, rgb.shape), ["transparent parts are shown on white"]


def _by_strips(
    values: Num[np.ndarray, "..."],
    change: Callable[[Num[np.ndarray, "..."]], UInt8[np.ndarray, "..."]],
    shape: tuple[int, ...],
) -> UInt8[np.ndarray, "..."]:
    """What a function makes of an array, strip by strip, so that wider numbers are there for one strip alone.

    Args:
        shape: of what it makes.
    """
    out = np.empty(shape, np.uint8)
    axis = int(values.ndim > 1 and values.shape[1] > values.shape[0])  # a picture may be one row of all its pixels
    step = max(1, STRIP // max(1, values.size // max(1, values.shape[axis])))
    for start in range(0, values.shape[axis], step):
        part = (slice(None),) * axis + (slice(start, start + step),)
        out[part] = change(values[part])
    return out


def upright(array: UInt8[np.ndarray, "h w 3"], orientation: int) -> UInt8[np.ndarray, "H W 3"]:
    """The picture as it was seen, from the EXIF orientation 1..8 (others leave it as it is)."""
    turns = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }
    return np.ascontiguousarray(turns[orientation](array)) if orientation in turns else array


def to_rgb8(image: Image.Image) -> tuple[UInt8[np.ndarray, "h w 3"], Notes]:
    """A decoded Pillow image as 8-bit RGB, not turned.

    Args:
        image: any mode, already loaded.

    Returns:
        (h, w, 3) array that owns its memory, and notes on what was changed.

    Raises:
        InputError: a mode without a defined conversion, or values that are not finite.
    """
    if image.mode in _NUMPY_MODES:
        grey, notes = _grey_to_uint8(image)
        if "transparency" in image.info:
            notes.append("a transparent grey value is shown as it is")
        return np.repeat(grey[..., None], 3, axis=2), notes
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        # premultiplied modes convert to straight alpha first; L and La only through their straight partner
        straight = image.convert("LA") if image.mode == "La" else image
        return composite_on_white(np.asarray(straight.convert("RGBA")))
    notes = [f"colours were converted from {image.mode} without a colour profile"] if image.mode == "CMYK" else []
    try:
        return np.array(image.convert("RGB")), notes
    except ValueError as error:
        raise InputError(
            f"the picture's colour mode {image.mode} cannot be shown as RGB ({error}); save it as RGB first"
        ) from error


def _grey_to_uint8(image: Image.Image) -> tuple[np.ndarray, Notes]:
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if image.mode == "F":
        if values.size and np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1:
            return unit_to_uint8(values), ["floating-point values in 0..1 were scaled to 0..255"]
        grey, note = stretch_to_uint8(values)
        return grey, [note]
    if image.mode == "I" and image.format not in ("PNG", "PPM"):  # Pillow brings those two to 16 bits itself
        grey, note = stretch_to_uint8(values)
        return grey, [note]
    bits = tags.get(_BITS_PER_SAMPLE, (16,))
    depth = bits[0] if image.format == "TIFF" and 8 < bits[0] <= 16 else 16
    maximum = (1 << depth) - 1
    values = values.astype(np.int32)
    if values.min() < 0 or values.max() > maximum:
        raise InputError(
            f"the picture says {depth} bits but holds values from {values.min()} to {values.max()}; it is damaged"
        )
    if image.format == "TIFF" and tags.get(_PHOTOMETRIC) == 0:  # WhiteIsZero, which Pillow inverts for 8 bits only
        values = maximum - values
    return scale_to_uint8(values, maximum), [f"{depth}-bit grey was scaled to 8 bits"]


def values_to_rgb8(
    values: Shaped[np.ndarray, ...], *, usual: Literal["hwc", "chw"], layout: str | None = None
) -> tuple[UInt8[np.ndarray, "h w 3"], Notes]:
    """An array of 1, 3 or 4 channels as 8-bit RGB.

    Args:
        values: (H, W), or (H, W, C) or (C, H, W) with C of 1, 3 or 4; uint8, uint16, bool or floating point in 0..1.
        usual: which of the two layouts this kind of array has by convention.
        layout: the caller's word, which overrules the convention.

    Raises:
        InputError: a batch, a shape that could be either layout, an unknown dtype, values out of range.
    """
    shape = values.shape
    if layout not in (None, "hwc", "chw"):
        raise InputError(f"layout is {layout!r}; expected 'hwc' or 'chw'")
    if values.ndim == 4:
        raise InputError(f"an array of shape {shape} is a batch; pass its pictures one by one, as x[0]")
    if values.ndim not in (2, 3) or 0 in shape:
        raise InputError(
            f"an array of shape {shape} is not a picture; expected (H, W), (H, W, C) or a tensor (C, H, W)"
        )
    if values.ndim == 3:
        first, last = shape[0] in _CHANNELS, shape[2] in _CHANNELS
        if layout is None and first and last:
            raise InputError(
                f"an array of shape {shape} could be (H, W, C) or (C, H, W); say layout='hwc' or layout='chw'"
            )
        if layout is None and (last, first)[usual == "chw"] is False:
            other = "chw" if usual == "hwc" else "hwc"
            kind = "an ndarray" if usual == "hwc" else "a tensor"
            hint = f"it looks like {other.upper()}: pass layout='{other}'" if first or last else "C must be 1, 3 or 4"
            raise InputError(
                f"{kind} of shape {shape} was given; expected {'(H, W, C)' if usual == 'hwc' else '(C, H, W)'}; {hint}"
            )
        values = values.transpose(1, 2, 0) if (layout or usual) == "chw" else values
        if values.shape[2] not in _CHANNELS:
            raise InputError(
                f"an array of shape {shape} has {values.shape[2]} channels in layout {layout}; expected 1, 3 or 4"
            )
    else:
        values = values[..., None]
    bytes_hwc, notes = _values_to_uint8(values)
    if bytes_hwc.shape[2] == 4:
        rgb, more = composite_on_white(bytes_hwc)
        return rgb, notes + more
    if bytes_hwc.shape[2] == 1:
        return np.repeat(bytes_hwc, 3, axis=2), notes
    # torch warns about memory that it may not write to, and PIL's arrays are such
    return np.ascontiguousarray(bytes_hwc) if bytes_hwc.flags.writeable else bytes_hwc.copy(), notes


def _values_to_uint8(values: np.ndarray) -> tuple[np.ndarray, Notes]:
    if values.dtype == np.uint8:
        return values, []
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * 255, []
    if values.dtype == np.uint16:
        return scale_to_uint8(values, 65535), ["16-bit values were scaled to 8 bits"]
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            f"a picture of dtype {values.dtype} has no defined white; convert it to uint8 or to floating point in 0..1"
        )
    if not np.isfinite(values).all():
        raise InputError("the picture holds NaN or infinite values; replace them first")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        hint = (
            "it looks normalised for a model: pass the picture before that step"
            if low < 0
            else "it looks like 0..255: convert it to uint8"
        )
        raise InputError(f"a floating-point picture has values from {low:g} to {high:g}; expected 0..1; {hint}")
    return unit_to_uint8(values), []
