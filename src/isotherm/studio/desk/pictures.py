"""Looking at a picture that was sent: whether it can be read, what was changed in reading it, and how it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from isotherm.atomic import atomic_write
from isotherm.data.pictures import MAX_PIXELS, read_picture, read_picture_size

SHOWN_SIDE = 2560
"""The longer side of a picture on the page, at most."""
THUMB_SIDE = 160
ANY_SIZE = 1 << 62


def look(fpath: str, name: str) -> dict[str, Any]:
    """Size and notes of a picture; every pixel of it is decoded, so that what is cut short is found now.

    Args:
        fpath: the file.
        name: what the user calls it.

    Returns:
        ``h``, ``w``, ``notes``; or ``pixels`` alone of one that is too large to be read.

    Raises:
        InputError: it cannot be read.
    """
    h, w = read_picture_size(fpath, max_pixels=ANY_SIZE)
    if h * w > MAX_PIXELS:
        return {"pixels": h * w}
    picture = read_picture(fpath, name=name)
    h, w = picture.size
    return {"h": h, "w": w, "notes": list(picture.notes)}


def show(fpath: str, name: str, shown: str, side: int) -> None:
    """Write a picture as a JPEG that every browser shows as a model sees it: upright, 8 bits, RGB.

    Args:
        fpath: the file.
        name: what the user calls it.
        shown: the file to write.
        side: its longer side, at most.

    Raises:
        InputError: it cannot be read.
    """
    save_shown(Image.fromarray(read_picture(fpath, name=name).array), Path(shown), side)


def save_shown(image: Image.Image, fpath: Path, side: int = SHOWN_SIDE, *, durable: bool = True) -> None:
    """Write a picture as a JPEG for the page, whole or not at all.

    Args:
        image: RGB.
        fpath: the file.
        side: its longer side, at most.
        durable: as of :func:`isotherm.atomic.atomic_write`.
    """
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    with atomic_write(fpath, durable=durable) as file:
        image.save(file, "JPEG", quality=88 if side > THUMB_SIDE else 80)
