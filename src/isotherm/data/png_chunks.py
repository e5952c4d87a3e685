"""The chunks of a PNG file, whose headers say what stands where without anything being decoded (W3C PNG, 5.3)."""

from __future__ import annotations

import io
import struct

_SIGNATURE = 8
_HEADER = struct.Struct(">I4s")
_CHECK = 4
_NOTES = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")
"""In which EXIF stands: as it is, as XMP, or as text of a raw profile."""


def has_notes_behind_pixels(file: io.BufferedIOBase) -> bool:
    """Whether EXIF or texts, which may hold it, stand behind the pixels; the file is left where it was.

    Args:
        file: of a PNG; one that is cut short has what can be read of it.
    """
    place = file.tell()
    try:
        file.seek(_SIGNATURE)
        behind = False
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            length, kind = _HEADER.unpack(header)
            behind = behind or kind == b"IDAT"
            if behind and kind in _NOTES:
                return True
            file.seek(length + _CHECK, 1)
        return False
    finally:
        file.seek(place)
