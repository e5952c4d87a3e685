"""Formats of pictures, by the first bytes of a file and by its suffix."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

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
