"""Picture: one upright 8-bit RGB picture, from a file or from what a caller already holds."""

from __future__ import annotations

import io
import os
import stat
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from isotherm import limits
from isotherm.data.orientation import Turn
from isotherm.data.picture_formats import (
    ORIENTATION,
    PICTURE_SUFFIXES,
    format_of,
    guess_of,
    suffixes_of,
    to_rgb8,
    upright,
    values_to_rgb8,
)
from isotherm.data.png_chunks import has_notes_behind_pixels
from isotherm.errors import InputError
from isotherm.size import Size

MAX_PIXELS = limits.PICTURE_PIXELS
"""Largest picture that is decoded: checked on the header, because a 20 KB file can open to half a gigabyte."""


@runtime_checkable
class BinaryFile(Protocol):
    """Anything whose ``read`` returns bytes: a file opened with ``"rb"``, a BytesIO, an upload."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, ready for a model.

    Args:
        name: what to call it to a person: file name, list entry, address.
        array: (H, W, 3) uint8 RGB, upright.
        notes: what reading changed: transparency, bit depth, rotation, further frames. Empty for a plain photo.
        format: file format such as ``"PNG"``; empty when it was not read from a file.
        mode: pixel format as stored, in Pillow's words (``"RGB"``, ``"I;16"``, ``"CMYK"``).
        stored_size: (h, w) as stored, before it was turned upright.
    """

    name: str
    array: UInt8[np.ndarray, "H W 3"]
    notes: tuple[str, ...] = ()
    format: str = ""
    mode: str = field(default="RGB")
    stored_size: Size | None = None

    @property
    def size(self) -> Size:
        """(h, w) of the upright picture in pixels."""
        return int(self.array.shape[0]), int(self.array.shape[1])


def read_picture(
    source: str | os.PathLike[str] | bytes | BinaryFile, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Picture:
    """Read a picture file as upright 8-bit RGB, whole or not at all.

    Args:
        source: path, the file's bytes, or an open binary file.
        name: what to call it; the path by default.
        max_pixels: pixels that the header may claim.

    Returns:
        The first frame. 16-bit and floating-point values are scaled, never clipped; transparency lies on white;
        CMYK becomes RGB; each such change is in ``notes``.

    Raises:
        InputError: missing, empty, a folder, not a picture, too large, cut short or damaged.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("LA", (3, 2), (0, 0)).save(file, "PNG")
        >>> picture = read_picture(file.getvalue(), name="empty.png")
        >>> picture.size, picture.array[0, 0].tolist(), picture.notes
        ((2, 3), [255, 255, 255], ('transparent parts are shown on white',))
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), name or "picture", max_pixels)
    if isinstance(source, (str, os.PathLike)):
        fpath = Path(source)
        check_regular_file(fpath, "picture")
        try:
            with fpath.open("rb") as file:
                return _read(file, name or str(fpath), max_pixels)
        except OSError as error:
            raise InputError(f"{fpath} cannot be opened ({error.strerror or error}); check its permissions") from error
    if not isinstance(source, BinaryFile) or not isinstance(source.read(0), bytes):
        raise InputError(
            f"a picture was given as {type(source).__name__}; expected a path, bytes or a file opened with 'rb'"
        )
    name = name or str(getattr(source, "name", "picture"))
    if not (isinstance(source, io.IOBase) and source.seekable()):
        source = io.BytesIO(source.read())  # a pipe
    source.seek(0)
    return _read(source, name, max_pixels)


def read_picture_size(fpath: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Size:
    """(h, w) of the upright picture in a file, as :func:`read_picture_turn` reads it."""
    return read_picture_turn(fpath, max_pixels=max_pixels).size


def read_picture_turn(fpath: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Turn:
    """The size of the picture in a file and how it is turned upright, from its header: nothing is decoded, so damage
    further on stays unseen, but for a PNG whose EXIF or texts stand behind its pixels.

    Args:
        fpath: the file.
        max_pixels: pixels that the header may claim, as for :func:`read_picture`.

    Raises:
        InputError: missing, empty, a folder, not a picture, too large, or its header is damaged.
    """
    fpath = Path(fpath)
    check_regular_file(fpath, "picture")
    try:
        with fpath.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # read_picture says them
            image = _open(file, str(fpath))
            w, h = image.size
            if not 0 < w * h <= max_pixels:
                raise _too_large(fpath, w, h, max_pixels)
            # PNG decodes everything to look for EXIF, unless it stands in front
            asks = image.format != "PNG" or "exif" in image.info or has_notes_behind_pixels(file)
            try:
                orientation = image.getexif().get(ORIENTATION, 1) if asks else 1
            except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
                orientation = 1  # as read_picture does
    except InputError:
        raise
    except Exception as error:  # parsers of hostile bytes raise anything at all
        raise InputError(
            f"{fpath} is damaged: its header cannot be read ({type(error).__name__}: {error}); copy or export it again"
        ) from error
    turn = Turn((h, w), orientation if isinstance(orientation, int) else 1)
    # TIFF says its size as turned
    return Turn(turn.size, turn.orientation) if isinstance(image, TiffImageFile) else turn


def as_picture(picture: Any, *, name: str = "picture", layout: Literal["hwc", "chw"] | None = None) -> Picture:
    """A Picture from whatever a caller holds, or an error wherever the meaning would be a guess.

    Args:
        picture: a Picture; a path, file bytes or an open file; a PIL image (turned upright by its EXIF); an ndarray
            (H, W) or (H, W, C); a tensor (H, W) or (C, H, W). C is 1 (grey), 3 (RGB, never BGR) or 4 (RGBA). Values are
            uint8, uint16 (0..65535), bool, or floating point in 0..1.
        name: what to call it.
        layout: ``"hwc"`` or ``"chw"`` where the shape alone cannot tell.

    Raises:
        InputError: a batch, an unknown shape or dtype, values out of range, or a shape that could be either layout.

    Example:
        >>> as_picture(np.zeros((2, 3), np.uint8)).size
        (2, 3)
        >>> as_picture(np.zeros((3, 20, 30), np.uint8))
        Traceback (most recent call last):
        isotherm.errors.InputError: ...
    """
    if isinstance(picture, Picture):
        return picture
    if isinstance(picture, (str, os.PathLike, bytes)):
        return read_picture(picture, name=None if not isinstance(picture, bytes) else name)
    if isinstance(picture, Image.Image):
        label = getattr(picture, "filename", "") if name == "picture" else name
        return _decoded(lambda: picture, str(label or name), MAX_PIXELS)
    if isinstance(picture, np.ndarray):
        array, notes = values_to_rgb8(picture, usual="hwc", layout=layout)
        return Picture(name, array, tuple(notes))
    if type(picture).__module__.partition(".")[0] == "torch" and hasattr(picture, "detach"):
        values = picture.detach().cpu()
        values = values.float() if values.is_floating_point() else values  # numpy has no bfloat16
        array, notes = values_to_rgb8(values.numpy(), usual="chw", layout=layout)
        return Picture(name, array, tuple(notes))
    if isinstance(picture, BinaryFile):
        return read_picture(picture, name=None if name == "picture" else name)
    if isinstance(picture, (list, tuple)):
        raise InputError(
            f"a {type(picture).__name__} of {len(picture)} was given as one picture; pass its pictures one by one"
        )
    raise InputError(
        f"a picture was given as {type(picture).__name__}; expected a path, an open file, a PIL image, "
        "an ndarray (H, W, 3) or a tensor (3, H, W)"
    )


def check_regular_file(fpath: Path, what: str) -> None:
    """Raise InputError unless ``fpath`` is a file with something in it: a pipe would block, a folder has no bytes."""
    article = "an" if what[0] in "aeiou" else "a"
    expected = f"{article} {what.removesuffix(' file')} file"
    try:
        status = fpath.stat()
    except FileNotFoundError:
        raise InputError(f"there is no {what} {fpath}; check the path") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{str(fpath)!r} cannot be opened as {article} {what} ({error})") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{fpath} is a folder; expected {expected}")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{fpath} is not a regular file; expected {expected}")
    if status.st_size == 0:
        raise InputError(f"{fpath} is empty (0 bytes); expected {article} {what}")


def looks_like_picture(fpath: Path) -> bool:
    """True where the first bytes are those of a picture format that is read here."""
    with fpath.open("rb") as file:
        return format_of(file.read(32)) is not None


# --- files -----------------------------------------------------------------------------------------------


def _too_large(name: object, w: int, h: int, most: int) -> InputError:
    what = f"{name} is {w} x {h} = {w * h / 1e6:.1f} megapixels; at most {most / 1e6:g} are read: make it smaller first"
    return InputError(
        f"{what}, or read it with isotherm.data.pictures.read_picture(path, max_pixels={w * h})",
        command_line=f"{what}, or raise --max-pixels to {w * h}",
    )


def _read(file: Any, name: str, max_pixels: int) -> Picture:
    picture = _decoded(lambda: _open(file, name), name, max_pixels)
    suffix = Path(name).suffix.lower()
    if suffix in PICTURE_SUFFIXES and suffix not in suffixes_of(picture.format):
        return replace(picture, notes=(*picture.notes, f"the name ends in {suffix} but the file is {picture.format}"))
    return picture


def _decoded(opened: Callable[[], Image.Image], name: str, max_pixels: int) -> Picture:
    with warnings.catch_warnings(record=True) as caught:  # Pillow's own warnings become notes
        warnings.simplefilter("always")
        with _whole_pictures_only():
            try:
                picture = _from_image(opened(), name, max_pixels)
            except InputError:
                raise
            except Exception as error:  # decoders of hostile bytes raise anything at all
                raise InputError(
                    f"{name} is damaged or cut short and was not read ({type(error).__name__}: {error}); "
                    "copy or export it again"
                ) from error
    remarks = tuple(dict.fromkeys(f"while reading: {w.message}" for w in caught))
    return replace(picture, notes=picture.notes + remarks)


def _open(file: Any, name: str) -> Image.Image:
    """The first format that recognises the bytes.

    Not Image.open: a program that imports ultralytics has it replaced by one that pip-installs a package when a
    file is not a picture, and it would try formats that start other programs (EPS) or read anything (TGA).
    """
    prefix = file.read(32)
    if not prefix:
        raise InputError(f"{name} is empty (0 bytes); expected a picture")
    known = format_of(prefix)
    if known is None:
        raise InputError(
            f"{name} is not a picture that can be read: {guess_of(prefix)}; expected JPEG, PNG, WebP, TIFF, BMP, GIF or the like"
        )
    file.seek(0)
    if known == "JPEG2000" and not _codestream_ends(file):
        raise InputError(f"{name} is cut short: its JPEG 2000 stream has no end marker; copy or export it again")
    file.seek(0)
    return Image.OPEN[known][0](file, "")


def _codestream_ends(file: Any) -> bool:
    """Whether a JPEG 2000 stream is whole: its decoder paints what is missing black and says nothing.

    ISO/IEC 15444-1: a codestream ends with the marker FF D9; in a .jp2 it is the content of the box ``jp2c``,
    whose length of 0 means up to the end of the file.
    """
    end = file.seek(0, os.SEEK_END)
    at, stop = 0, end
    file.seek(0)
    if file.read(2) != b"\xff\x4f":  # not a bare codestream: boxes of (length, kind)
        while True:
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return False
            size, kind = struct.unpack(">I4s", head[:8])
            if size == 1 and len(head) == 16:
                size = struct.unpack(">Q", head[8:])[0]
            stop = at + size if size else end
            if kind == b"jp2c":
                break
            if stop < at + 8:
                return False
            at = stop
    if stop > end:
        return False
    file.seek(max(0, stop - 2))
    return file.read(2) == b"\xff\xd9"


_decoding = threading.RLock()


@contextmanager
def _whole_pictures_only() -> Iterator[None]:
    # other packages set this global to True, and then a file cut in half reads as a half-grey picture
    with _decoding:
        before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def _from_image(image: Image.Image, name: str, max_pixels: int) -> Picture:
    w, h = image.size
    if w < 1 or h < 1:
        raise InputError(f"{name} is {w} x {h} pixels; a picture has at least one pixel")
    if w * h > max_pixels:
        raise _too_large(name, w, h, max_pixels)
    notes: list[str] = []
    shape, mode, known = (h, w), image.mode, image.format or ""
    turned_by_pillow = image.tag_v2.get(ORIENTATION, 1) if isinstance(image, TiffImageFile) else 1
    if turned_by_pillow in (5, 6, 7, 8):  # TIFF alone is turned while it decodes, and says its size as turned
        shape = w, h
    if any(";16" in str(tile.args) for tile in getattr(image, "tile", ())) and not mode.startswith("I"):
        notes.append("16 bits per channel were reduced to 8")
    if getattr(image, "is_animated", False):
        frame = image.tell()
        notes.append(
            "there are several frames; " + ("the first one" if frame == 0 else f"number {frame + 1}") + " is used"
        )
    try:
        image.load()
        array, changes = to_rgb8(image)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    notes += changes
    try:
        # after load: TIFF has forgotten the tag that it obeyed, and PNG may hold EXIF behind its pixels
        orientation = image.getexif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        orientation = 1
        notes.append("its EXIF data is damaged and was ignored; the picture may lie on its side")
    turned = upright(array, orientation if isinstance(orientation, int) else 1)
    if turned is not array or turned_by_pillow in range(2, 9):
        notes.append(f"turned upright (EXIF orientation {orientation if turned is not array else turned_by_pillow})")
    return Picture(name, turned, tuple(notes), known, mode, shape)
