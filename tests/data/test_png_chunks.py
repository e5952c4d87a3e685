"""What stands behind the pixels of a PNG is found without decoding them."""

from __future__ import annotations

import io
import struct
import zlib

import pytest

from isotherm.data.png_chunks import has_notes_behind_pixels


def chunk(kind, data=b"1234"):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("kinds", "behind"),
    [
        ((b"IHDR", b"eXIf", b"IDAT", b"IDAT", b"IEND"), False),
        ((b"IHDR", b"IDAT", b"IDAT", b"eXIf", b"IEND"), True),
        ((b"IHDR", b"IDAT", b"tIME", b"iTXt", b"IEND"), True),
        ((b"IHDR", b"IDAT"), False),
        ((), False),
    ],
)
def test_notes_behind_pixels(kinds, behind):
    file = io.BytesIO(SIGNATURE + b"".join(chunk(kind) for kind in kinds))
    file.seek(3)
    assert has_notes_behind_pixels(file) is behind
    assert file.tell() == 3


def test_a_file_that_is_cut_short_has_what_can_be_read():
    whole = SIGNATURE + chunk(b"IHDR") + chunk(b"IDAT") + chunk(b"eXIf")
    assert has_notes_behind_pixels(io.BytesIO(whole[:-6]))
    assert not has_notes_behind_pixels(io.BytesIO(whole[: -len(chunk(b"eXIf"))]))
    assert not has_notes_behind_pixels(io.BytesIO(SIGNATURE + struct.pack(">I4s", 2**31, b"IDAT")))
